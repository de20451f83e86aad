// Optimizers over a whole parameter slab in one pass (fused multi-tensor), and the end of a step.
//   w     [count] f32   parameters, updated       dw  [count]  gradients, times state->loss_scale
//   m, v  [count] f32   state, updated; zero before the first step
//   copy  [count]       w rounded to dw's dtype, for the next forward pass; may be empty
// dw is f32, on cuda also bf16 or f16. The learning rate and the step number
// t = step + 1 - skipped come from `state` (device memory). Where find_overflow() has found one,
// nothing is changed.
// SGD (PyTorch's):   g = dw + weight_decay*w;  m = momentum*m + g
//                    w -= lr * (nesterov ? g + momentum*m : m)
//                    without momentum m may be empty and w -= lr*g
// Adam, Kingma & Ba, https://arxiv.org/abs/1412.6980, with PyTorch's placement of eps:
//                    g = dw + weight_decay*w  (L2), or w -= lr*weight_decay*w (decoupled, AdamW)
//                    m = beta1*m + (1-beta1)*g;  v = beta2*v + (1-beta2)*g*g
//                    w -= lr/(1-beta1^t) * m / (sqrt(v)/sqrt(1-beta2^t) + eps)
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/core/step_state.h"
#include "kernels/op.h"

namespace lamina {

struct SgdOpts {
  double momentum = 0.0;
  double weight_decay = 0.0;
  bool nesterov = false;
};

struct AdamOpts {
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
  bool decoupled = false;  // AdamW
};

using sgd_step_fn = void(Context& ctx,
                         const SgdOpts& opts,
                         const StepState* state,
                         const Tensor& w,
                         const Tensor& dw,
                         const Tensor& m,
                         const Tensor& copy);
LAMINA_OP(sgd_step)
using adam_step_fn = void(Context& ctx,
                          const AdamOpts& opts,
                          const StepState* state,
                          const Tensor& w,
                          const Tensor& dw,
                          const Tensor& m,
                          const Tensor& v,
                          const Tensor& copy);
LAMINA_OP(adam_step)

// Notes in `state` the first element of dw, counted from `first`, that is infinite or NaN, unless
// an earlier one is noted there.
using find_overflow_fn = void(Context& ctx, StepState* state, const Tensor& dw, std::int64_t first);
LAMINA_OP(find_overflow)

// step += 1 and cursor += samples, in device memory. With an overflow noted, the step counts as
// skipped and the loss scale halves; after growth_interval steps without one it doubles.
using advance_fn = void(Context& ctx, StepState* state, std::int64_t samples);
LAMINA_OP(advance)

}  // namespace lamina
