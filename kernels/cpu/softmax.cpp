// SPDX-License-Identifier: Apache-2.0
#include "kernels/softmax.h"

#include <cmath>

#include "kernels/checks.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/rows.h"

namespace lamina::cpu {
namespace {

// y = f(x), row by row: f(row of x, row of y, length).
template <class F>
void map_rows(Context& ctx, const Tensor& x, const Tensor& y, const F& f) {
  const std::size_t x_floats = FloatRows::floats(ctx, x);
  float* const memory = device_of(ctx).scratch<float>(x_floats + FloatRows::floats(ctx, y));
  const FloatRows xs(x, memory), ys(y, memory + x_floats);
  for_each_row(ctx, x, [&](std::int64_t offset, std::int64_t length) {
    const float* const row = xs.read(offset);
    f(row, ys.at(offset), length);
    ys.put(offset);
  });
}

// dx = f(y, dy): f(row of y, row of dy, row of dx, length).
template <class F>
void map_gradients(Context& ctx, const Tensor& y, const Tensor& dy, const Tensor& dx, const F& f) {
  const std::size_t floats = FloatRows::floats(ctx, y);
  float* const memory = device_of(ctx).scratch<float>(3 * floats);
  const FloatRows ys(y, memory), dys(dy, memory + floats), dxs(dx, memory + 2 * floats);
  for_each_row(ctx, y, [&](std::int64_t offset, std::int64_t length) {
    const float* const row = ys.read(offset);
    const float* const gradient = dys.read(offset);
    f(row, gradient, dxs.at(offset), length);
    dxs.put(offset);
  });
}

}  // namespace

void softmax_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::softmax_forward(ctx, "softmax_forward", x, y);
  map_rows(ctx, x, y, [](const float* row, float* out, std::int64_t length) {
    const float largest = row_max(row, length);
    map_range(
        0, length, [=](const Vec& v) { return exp(v - largest); }, out, row);
    const auto scale = static_cast<float>(1.0 / row_sum(out, length));
    map_range(
        0, length, [=](const Vec& v) { return v * scale; }, out, out);
  });
}

void softmax_backward(Context& ctx, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  checks::softmax_backward(ctx, "softmax_backward", y, dy, dx);
  map_gradients(
      ctx, y, dy, dx, [](const float* ys, const float* dys, float* out, std::int64_t length) {
        const auto dot = static_cast<float>(row_dot(ys, dys, length));
        map_range(
            0,
            length,
            [=](const Vec& vy, const Vec& vdy) { return vy * (vdy - dot); },
            out,
            ys,
            dys);
      });
}

void log_softmax_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::softmax_forward(ctx, "log_softmax_forward", x, y);
  map_rows(ctx, x, y, [](const float* row, float* out, std::int64_t length) {
    const float largest = row_max(row, length);
    // In double, so that the one rounding is the last: y is often smaller than what it is made of.
    const double log_total = largest + std::log(row_exp_sum(row, length, largest));
    for (std::int64_t f = 0; f < length; ++f) out[f] = static_cast<float>(row[f] - log_total);
  });
}

void log_softmax_backward(Context& ctx, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  checks::softmax_backward(ctx, "log_softmax_backward", y, dy, dx);
  map_gradients(
      ctx, y, dy, dx, [](const float* ys, const float* dys, float* out, std::int64_t length) {
        const auto sum = static_cast<float>(row_sum(dys, length));
        map_range(
            0,
            length,
            [=](const Vec& vy, const Vec& vdy) { return vdy - exp(vy) * sum; },
            out,
            ys,
            dys);
      });
}

}  // namespace lamina::cpu
