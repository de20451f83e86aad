// Local response normalisation in plain loops. Contract: kernels/lrn.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/lrn.h"

#include <algorithm>
#include <cmath>

#include "kernels/checks.h"
#include "kernels/ref/sums.h"

namespace lamina {
namespace {

// Calls body(i, j) for every element i and every element j of its window.
template <class Body>
void for_each_pair(const LrnOpts& o, const Tensor& x, Body&& body) {
  const std::int64_t channels = x.shape.c;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const std::int64_t c = i % channels;
    const std::int64_t begin = std::max<std::int64_t>(c - o.size / 2, 0),
                       end = std::min(c + (o.size - 1) / 2 + 1, channels);
    for (std::int64_t j = begin; j < end; ++j) body(i, i - c + j);
  }
}

template <class T>
std::vector<double> scales_of(const LrnOpts& o, const Tensor& x) {
  std::vector<double> scales = ref::zeros(x);
  for_each_pair(o, x, [&](std::int64_t i, std::int64_t j) {
    const double value = x.as<T>()[j];
    scales[i] += o.alpha / static_cast<double>(o.size) * value * value;
  });
  for (double& scale : scales) scale += o.k;
  return scales;
}

}  // namespace

void ref::lrn_forward(Context& ctx, const LrnOpts& opts, const Tensor& x, const Tensor& y) {
  checks::lrn_forward(ctx, opts, x, y);
  visit_real(x.dtype, "lrn_forward", [&]<class T>(T) {
    const std::vector<double> scales = scales_of<T>(opts, x);
    for (std::int64_t i = 0; i < x.numel(); ++i)
      y.as<T>()[i] = static_cast<T>(x.as<T>()[i] * std::pow(scales[i], -opts.beta));
  });
}

void ref::lrn_backward(
    Context& ctx, const LrnOpts& opts, const Tensor& x, const Tensor& dy, const Tensor& dx) {
  checks::lrn_backward(ctx, opts, x, dy, dx);
  visit_real(x.dtype, "lrn_backward", [&]<class T>(T) {
    const std::vector<double> scales = scales_of<T>(opts, x);
    std::vector<double> sums = ref::zeros(dx);
    for (std::int64_t i = 0; i < x.numel(); ++i)
      sums[i] = dy.as<T>()[i] * std::pow(scales[i], -opts.beta);
    // y[i] depends on every x of its window through scale[i].
    const double slope = -2 * opts.beta * opts.alpha / static_cast<double>(opts.size);
    for_each_pair(opts, x, [&](std::int64_t i, std::int64_t j) {
      const double by_scale = dy.as<T>()[i] * x.as<T>()[i] * std::pow(scales[i], -opts.beta - 1);
      sums[j] += slope * by_scale * x.as<T>()[j];
    });
    ref::store<T>(sums, dx);
  });
}

}  // namespace lamina
