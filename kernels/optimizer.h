// Optimizers over a whole parameter slab in one pass (fused multi-tensor), and the end of a step.
//   w     [count] f32   parameters, updated
//   dw    [count]       gradients; they count times state->gradient_factor()
//   m, v  [count] f32   state, updated; zero before the first step
//   copy  [count]       w rounded to bf16 or f16, for the next forward pass; may be empty
// dw is f32, on cpu and cuda also of copy's dtype, which is bf16 on the former. The learning rate
// and the number of the update t = updates + 1 - skipped come from `state` (device memory); so do
// SGD's momentum, unless the options have none, and Adam's beta1 where the state has a momentum
// that is not below 0. Where find_overflow() has found one (gradient_slab.h), nothing is changed.
// SGD (PyTorch's):   g = dw + weight_decay*w;  m = momentum*m + g
//                    w -= lr * (nesterov ? g + momentum*m : m)
//                    without momentum m may be empty and w -= lr*g
// Adam, Kingma & Ba, https://arxiv.org/abs/1412.6980, with PyTorch's placement of eps:
//                    g = dw + weight_decay*w  (L2), or w -= lr*weight_decay*w (decoupled, AdamW)
//                    m = beta1*m + (1-beta1)*g;  v = beta2*v + (1-beta2)*g*g
//                    w -= lr/(1-beta1^t) * m / (sqrt(v)/sqrt(1-beta2^t) + eps)
// RMSProp, Tieleman & Hinton, Coursera 2012, lecture 6.5, as PyTorch has it, not centred:
//                    g = dw + weight_decay*w;  v = alpha*v + (1-alpha)*g*g
//                    m = momentum*m + g/(sqrt(v)+eps);  w -= lr*m
//                    without momentum m may be empty and w -= lr*g/(sqrt(v)+eps)
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

struct RmspropOpts {
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0.0;
  double momentum = 0.0;
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

using rmsprop_step_fn = void(Context& ctx,
                             const RmspropOpts& opts,
                             const StepState* state,
                             const Tensor& w,
                             const Tensor& dw,
                             const Tensor& m,
                             const Tensor& v,
                             const Tensor& copy);
LAMINA_OP(rmsprop_step)

// The end of a batch, in device memory: StepState::advance(). Then, where `rates` is given, lr
// becomes rates[step % R], and likewise the momentum.
//   rates, momenta  [R] f32   of an epoch's batches; may be empty
struct AdvanceOpts {
  std::int64_t samples = 0;
  bool update = true;  // the parameters were updated after this batch
};
using advance_fn = void(Context& ctx,
                        const AdvanceOpts& opts,
                        StepState* state,
                        const Tensor& rates,
                        const Tensor& momenta);
LAMINA_OP(advance)

}  // namespace lamina
