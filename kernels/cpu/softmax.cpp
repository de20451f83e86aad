// SPDX-License-Identifier: Apache-2.0
#include "kernels/softmax.h"

#include <cmath>

#include "kernels/checks.h"
#include "kernels/cpu/rows.h"

namespace lamina::cpu {

void softmax_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::softmax_forward(ctx, "softmax_forward", x, y);
  for_each_row(ctx, x, [&](std::int64_t offset, std::int64_t length) {
    const float* const row = x.as<float>() + offset;
    float* const out = y.as<float>() + offset;
    const float largest = row_max(row, length);
    map_range(
        0, length, [=](const Vec& v) { return exp(v - largest); }, out, row);
    const auto scale = static_cast<float>(1.0 / row_sum(out, length));
    map_range(
        0, length, [=](const Vec& v) { return v * scale; }, out, const_of(out));
  });
}

void softmax_backward(Context& ctx, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  checks::softmax_backward(ctx, "softmax_backward", y, dy, dx);
  for_each_row(ctx, y, [&](std::int64_t offset, std::int64_t length) {
    const float* const ys = y.as<float>() + offset;
    const float* const dys = dy.as<float>() + offset;
    const auto dot = static_cast<float>(row_dot(ys, dys, length));
    map_range(
        0,
        length,
        [=](const Vec& vy, const Vec& vdy) { return vy * (vdy - dot); },
        dx.as<float>() + offset,
        ys,
        dys);
  });
}

void log_softmax_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::softmax_forward(ctx, "log_softmax_forward", x, y);
  for_each_row(ctx, x, [&](std::int64_t offset, std::int64_t length) {
    const float* const row = x.as<float>() + offset;
    const float largest = row_max(row, length);
    // In double, so that the one rounding is the last: y is often smaller than what it is made of.
    const double log_total = largest + std::log(row_exp_sum(row, length, largest));
    float* const out = y.as<float>() + offset;
    for (std::int64_t f = 0; f < length; ++f) out[f] = static_cast<float>(row[f] - log_total);
  });
}

void log_softmax_backward(Context& ctx, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  checks::softmax_backward(ctx, "log_softmax_backward", y, dy, dx);
  for_each_row(ctx, y, [&](std::int64_t offset, std::int64_t length) {
    const float* const ys = y.as<float>() + offset;
    const float* const dys = dy.as<float>() + offset;
    const auto sum = static_cast<float>(row_sum(dys, length));
    map_range(
        0,
        length,
        [=](const Vec& vy, const Vec& vdy) { return vdy - exp(vy) * sum; },
        dx.as<float>() + offset,
        ys,
        dys);
  });
}

}  // namespace lamina::cpu
