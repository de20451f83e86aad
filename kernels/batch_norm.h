// Batch normalisation over N, H, W for each channel, with an activation fused behind it.
//   train   y = act( gamma * (x - mean) * invstd + beta )
//           invstd = 1/sqrt(var + eps), var biased, over N*H*W
//           running = (1 - momentum) * running + momentum * batch, with the unbiased variance
//           (PyTorch's rule)
//   infer   the same with the running statistics
//   x, y, dx, dy  [N,H,W,C]
//   gamma, beta, dgamma, dbeta, running_mean, running_var, mean, invstd  [C]
// Statistics are f32 (f64 for f64 tensors). Ioffe, Szegedy, https://arxiv.org/abs/1502.03167
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/activation.h"
#include "kernels/op.h"

namespace lamina {

struct BatchNormOpts {
  double eps = 1e-5;
  double momentum = 0.1;
  Act act = Act::none;
};

// The per-channel vectors that belong to the layer.
struct BatchNormParams {
  Tensor gamma, beta;                // trained
  Tensor running_mean, running_var;  // written in training
  Tensor num_batches_tracked;        // i64[1], incremented in training
};

// Writes y, mean, invstd and the running statistics. Throws when N*H*W is 1: there is no variance.
using batch_norm_train_fn = void(Context& ctx,
                                 const BatchNormOpts& opts,
                                 const Tensor& x,
                                 const BatchNormParams& p,
                                 const Tensor& y,
                                 const Tensor& mean,
                                 const Tensor& invstd);
LAMINA_OP(batch_norm_train)

// y may be x.
using batch_norm_infer_fn = void(Context& ctx,
                                 const BatchNormOpts& opts,
                                 const Tensor& x,
                                 const BatchNormParams& p,
                                 const Tensor& y);
LAMINA_OP(batch_norm_infer)

// Gradients of batch_norm_train. y is needed only with an activation; dx may be dy. dx may be
// empty.
using batch_norm_backward_fn = void(Context& ctx,
                                    const BatchNormOpts& opts,
                                    const Tensor& x,
                                    const Tensor& y,
                                    const Tensor& dy,
                                    const Tensor& gamma,
                                    const Tensor& mean,
                                    const Tensor& invstd,
                                    const Tensor& dx,
                                    const Tensor& dgamma,
                                    const Tensor& dbeta);
LAMINA_OP(batch_norm_backward)

// Gradients of batch_norm_infer (statistics frozen): dx = gamma * invstd * dy. dx may be dy or
// empty.
using batch_norm_backward_frozen_fn = void(Context& ctx,
                                           const BatchNormOpts& opts,
                                           const Tensor& x,
                                           const Tensor& y,
                                           const Tensor& dy,
                                           const BatchNormParams& p,
                                           const Tensor& dx,
                                           const Tensor& dgamma,
                                           const Tensor& dbeta);
LAMINA_OP(batch_norm_backward_frozen)

}  // namespace lamina
