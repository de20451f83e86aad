// SPDX-License-Identifier: Apache-2.0
#include "kernels/gradient_slab.h"

#include <algorithm>
#include <cmath>

#include "kernels/checks.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/slab.h"
#include "kernels/cpu/squares.h"

namespace lamina::cpu {

void find_overflow(Context& ctx, StepState* state, const Tensor& dw, std::int64_t first) {
  checks::find_overflow(ctx, state, dw);
  const float* const begin = dw.as<float>();
  const float* const end = begin + dw.numel();
  const float* const bad = std::find_if(begin, end, [](float v) { return !std::isfinite(v); });
  if (bad != end) state->overflow_at = std::min(state->overflow_at, first + (bad - begin));
}

void sum_gradients(Context& ctx, bool fresh, const Tensor& dw_, const Tensor& sum_) {
  checks::sum_gradients(ctx, dw_, sum_);
  const float* const dw = dw_.as<float>();
  float* const sum = sum_.as<float>();
  walk_slab(ctx, dw_.numel(), [=](const auto& in, const auto& out) {
    out(sum, fresh ? in(dw) : in(sum) + in(dw));
  });
}

void clip_gradients(
    Context& ctx, const ClipOpts& opts, StepState* state, const Tensor& dw, const Tensor& norm2) {
  checks::clip_gradients(ctx, opts, state, dw, norm2);
  auto* const parts =
      device_of(ctx).scratch<double>(static_cast<std::size_t>(square_parts(dw.numel())));
  const double unscale = 1.0 / static_cast<double>(state->loss_scale);
  const double sum = sum_of_squares(ctx, dw.as<float>(), dw.numel(), parts) * unscale * unscale;
  double& total = *norm2.as<double>();
  total = opts.first ? sum : total + sum;
  if (opts.last) state->clip = clip_of(total, opts.max_norm);
}

}  // namespace lamina::cpu
