// Overflow, sums and the norm of the gradients. Contract: kernels/gradient_slab.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gradient_slab.h"

#include <algorithm>
#include <cmath>

#include "kernels/checks.h"

namespace lamina {

void ref::find_overflow(Context& ctx, StepState* state, const Tensor& dw, std::int64_t first) {
  checks::find_overflow(ctx, state, dw);
  visit_real(dw.dtype, "find_overflow", [&]<class T>(T) {
    for (std::int64_t i = 0; i < dw.numel(); ++i) {
      if (std::isfinite(dw.as<T>()[i])) continue;
      state->overflow_at = std::min(state->overflow_at, first + i);
      return;
    }
  });
}

void ref::sum_gradients(Context& ctx, bool fresh, const Tensor& dw, const Tensor& sum) {
  checks::sum_gradients(ctx, dw, sum);
  visit_real(dw.dtype, "sum_gradients", [&]<class T>(T) {
    for (std::int64_t i = 0; i < dw.numel(); ++i) {
      const T before = fresh ? T{} : sum.as<T>()[i];
      sum.as<T>()[i] = before + dw.as<T>()[i];
    }
  });
}

void ref::clip_gradients(
    Context& ctx, const ClipOpts& opts, StepState* state, const Tensor& dw, const Tensor& norm2) {
  checks::clip_gradients(ctx, opts, state, dw, norm2);
  visit_real(dw.dtype, "clip_gradients", [&]<class T>(T) {
    double sum = opts.first ? 0.0 : *norm2.as<double>();
    for (std::int64_t i = 0; i < dw.numel(); ++i) {
      const double g = dw.as<T>()[i] / static_cast<double>(state->loss_scale);
      sum += g * g;
    }
    *norm2.as<double>() = sum;
    if (opts.last) state->clip = clip_of(sum, opts.max_norm);
  });
}

}  // namespace lamina
