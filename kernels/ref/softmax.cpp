// Softmax and log-softmax, row by row. Contract: kernels/softmax.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/softmax.h"

#include <algorithm>
#include <cmath>

#include "kernels/checks.h"

namespace lamina {
namespace {

// Calls body(offset of the row, its length) for every sample.
template <class Body>
void for_each_row(const Tensor& x, Body&& body) {
  const std::int64_t length = x.shape.per_sample();
  for (std::int64_t n = 0; n < x.shape.n; ++n) body(n * length, length);
}

template <class T>
double exp_sum(const T* row, std::int64_t length, double largest) {
  double sum = 0;
  for (std::int64_t f = 0; f < length; ++f) sum += std::exp(row[f] - largest);
  return sum;
}

}  // namespace

void ref::softmax_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::softmax_forward(ctx, "softmax_forward", x, y);
  visit_real(x.dtype, "softmax_forward", [&]<class T>(T) {
    for_each_row(x, [&](std::int64_t offset, std::int64_t length) {
      const T* const row = x.as<T>() + offset;
      const double largest = *std::max_element(row, row + length);
      const double sum = exp_sum(row, length, largest);
      for (std::int64_t f = 0; f < length; ++f)
        y.as<T>()[offset + f] = static_cast<T>(std::exp(row[f] - largest) / sum);
    });
  });
}

void ref::softmax_backward(Context& ctx, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  checks::softmax_backward(ctx, "softmax_backward", y, dy, dx);
  visit_real(y.dtype, "softmax_backward", [&]<class T>(T) {
    for_each_row(y, [&](std::int64_t offset, std::int64_t length) {
      const T* const ys = y.as<T>() + offset;
      const T* const dys = dy.as<T>() + offset;
      double dot = 0;
      for (std::int64_t f = 0; f < length; ++f) dot += static_cast<double>(dys[f]) * ys[f];
      for (std::int64_t f = 0; f < length; ++f)
        dx.as<T>()[offset + f] = static_cast<T>(ys[f] * (dys[f] - dot));
    });
  });
}

void ref::log_softmax_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::softmax_forward(ctx, "log_softmax_forward", x, y);
  visit_real(x.dtype, "log_softmax_forward", [&]<class T>(T) {
    for_each_row(x, [&](std::int64_t offset, std::int64_t length) {
      const T* const row = x.as<T>() + offset;
      const double largest = *std::max_element(row, row + length);
      const double log_sum = std::log(exp_sum(row, length, largest));
      for (std::int64_t f = 0; f < length; ++f)
        y.as<T>()[offset + f] = static_cast<T>(row[f] - largest - log_sum);
    });
  });
}

void ref::log_softmax_backward(Context& ctx, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  checks::softmax_backward(ctx, "log_softmax_backward", y, dy, dx);
  visit_real(y.dtype, "log_softmax_backward", [&]<class T>(T) {
    for_each_row(y, [&](std::int64_t offset, std::int64_t length) {
      const T* const ys = y.as<T>() + offset;
      const T* const dys = dy.as<T>() + offset;
      double sum = 0;
      for (std::int64_t f = 0; f < length; ++f) sum += dys[f];
      for (std::int64_t f = 0; f < length; ++f)
        dx.as<T>()[offset + f] =
            static_cast<T>(dys[f] - std::exp(static_cast<double>(ys[f])) * sum);
    });
  });
}

}  // namespace lamina
