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
  visit_storage(dw.dtype, [&]<class T>(T) {
    const T* const begin = dw.as<T>();
    const T* const end = begin + dw.numel();
    const T* const bad = std::find_if(begin, end, [](T v) { return !std::isfinite(widened(v)); });
    if (bad != end) state->overflow_at = std::min(state->overflow_at, first + (bad - begin));
  });
}

void sum_gradients(Context& ctx, bool fresh, const Tensor& dw_, const Tensor& sum_) {
  checks::sum_gradients(ctx, dw_, sum_);
  float* const sum = sum_.as<float>();
  visit_storage(dw_.dtype, [&]<class T>(T) {
    const T* const dw = dw_.as<T>();
    walk_slab(ctx, dw_.numel(), [=](const auto& in, const auto& out) {
      out(sum, fresh ? in(dw) : in(sum) + in(dw));
    });
  });
}

void clip_gradients(
    Context& ctx, const ClipOpts& opts, StepState* state, const Tensor& dw, const Tensor& norm2) {
  checks::clip_gradients(ctx, opts, state, dw, norm2);
  auto* const parts =
      device_of(ctx).scratch<double>(static_cast<std::size_t>(square_parts(dw.numel())));
  const double unscale = 1.0 / static_cast<double>(state->loss_scale);
  double sum = 0;
  visit_storage(dw.dtype, [&]<class T>(T) {
    sum = sum_of_squares(ctx, dw.as<T>(), dw.numel(), parts) * unscale * unscale;
  });
  double& total = *norm2.as<double>();
  total = opts.first ? sum : total + sum;
  if (opts.last) state->clip = clip_of(total, opts.max_norm);
}

}  // namespace lamina::cpu
