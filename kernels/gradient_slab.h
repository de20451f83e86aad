// What happens to the gradients between the backward pass and the optimizer (optimizer.h), over a
// whole slab of them in one pass. Each keeps to the same order of additions for any number of
// threads.
//   dw  [count]  gradients, times state->loss_scale; f32, on cpu and cuda also bf16, on cuda f16
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "engine/core/step_state.h"
#include "kernels/op.h"

namespace lamina {

// Notes in `state` the first element of dw, counted from `first`, that is infinite or NaN, unless
// an earlier one is noted there.
using find_overflow_fn = void(Context& ctx, StepState* state, const Tensor& dw, std::int64_t first);
LAMINA_OP(find_overflow)

// Gradients of several batches for one update: sum = dw, or sum += dw unless `fresh`.
//   sum  [count] f32
using sum_gradients_fn = void(Context& ctx, bool fresh, const Tensor& dw, const Tensor& sum);
LAMINA_OP(sum_gradients)

// Clipping by the norm of all gradients (Pascanu et al., https://arxiv.org/abs/1211.5063; PyTorch's
// clip_grad_norm_): over all slabs of the gradients in turn, the first with `first`, the last with
// `last`.
//   norm2  [1] f64  sum of (dw / loss_scale)^2: added to, or begun anew with `first`
// With `last` state->clip becomes min(1, max_norm / (sqrt(norm2) + 1e-6)).
struct ClipOpts {
  double max_norm = 1.0;
  bool first = true, last = true;
};
using clip_gradients_fn = void(
    Context& ctx, const ClipOpts& opts, StepState* state, const Tensor& dw, const Tensor& norm2);
LAMINA_OP(clip_gradients)

LAMINA_HOST_DEVICE inline float clip_of(double norm2, double max_norm) {
  const double clip = max_norm / (sqrt(norm2) + 1e-6);
  return clip < 1 ? static_cast<float>(clip) : clip >= 1 ? 1.0f : static_cast<float>(norm2);  // NaN
}

}  // namespace lamina
