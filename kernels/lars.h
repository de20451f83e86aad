// SGD with a learning rate of its own for each tensor, for large batches: LARS, You, Gitman and
// Ginsburg, https://arxiv.org/abs/1708.03888. Arguments as those of sgd_step (optimizer.h), and
//   spans  [2*T] i64  of each of T tensors its first element in w and how many it has
//   norms  [2*T] f64  scratch: |w|^2 and |g|^2 of each
// For each tensor, with the gradient g = dw * state->gradient_factor():
//   rate = trust * |w| / (|g| + weight_decay * |w|), or 1 where |w| or |g| is zero
//   m = momentum * m + rate * (g + weight_decay * w);  w -= lr * m
// Elements outside of the spans are left alone. Where find_overflow() has found one, all are.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "engine/core/step_state.h"
#include "kernels/op.h"

namespace lamina {

struct LarsOpts {
  double momentum = 0.9;
  double weight_decay = 0.0;
  double trust = 0.001;
};

LAMINA_HOST_DEVICE inline double lars_rate(const LarsOpts& opts, double w2, double g2) {
  if (!(w2 > 0) || !(g2 > 0)) return 1.0;
  const double w = sqrt(w2);
  return opts.trust * w / (sqrt(g2) + opts.weight_decay * w);
}

using lars_step_fn = void(Context& ctx,
                          const LarsOpts& opts,
                          const StepState* state,
                          const Tensor& w,
                          const Tensor& dw,
                          const Tensor& m,
                          const Tensor& copy,
                          const Tensor& spans,
                          const Tensor& norms);
LAMINA_OP(lars_step)

}  // namespace lamina
