// Batch normalisation over N, H, W for each channel, with the sum that ends a residual block and an
// activation fused behind it.
//   train   y = act( gamma * (x - mean) * invstd + beta + z ), z the block's shortcut, may be empty
//           invstd = 1/sqrt(var + eps), var biased, over N*H*W
//           running = (1 - momentum) * running + momentum * batch, with the unbiased variance
//           (PyTorch's rule)
//   infer   the same with the running statistics
//   apply   the same with mean and invstd as given
//   x, z, y, dx, dz, dy  [N,H,W,C]; x, y and dy may be slices of channels
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
// y may be z.
using batch_norm_train_fn = void(Context& ctx,
                                 const BatchNormOpts& opts,
                                 const Tensor& x,
                                 const Tensor& z,
                                 const BatchNormParams& p,
                                 const Tensor& y,
                                 const Tensor& mean,
                                 const Tensor& invstd);
LAMINA_OP(batch_norm_train)

// The y of batch_norm_train once more, from the statistics that it left: the same bits on `cpu` and
// `cuda` (`ref` makes them from unrounded ones the first time).
using batch_norm_apply_fn = void(Context& ctx,
                                 const BatchNormOpts& opts,
                                 const Tensor& x,
                                 const Tensor& z,
                                 const Tensor& gamma,
                                 const Tensor& beta,
                                 const Tensor& mean,
                                 const Tensor& invstd,
                                 const Tensor& y);
LAMINA_OP(batch_norm_apply)

// y may be x or z.
using batch_norm_infer_fn = void(Context& ctx,
                                 const BatchNormOpts& opts,
                                 const Tensor& x,
                                 const Tensor& z,
                                 const BatchNormParams& p,
                                 const Tensor& y);
LAMINA_OP(batch_norm_infer)

// Gradients of batch_norm_train; dz = dy * act'(y) is the shortcut's. y is needed only with an
// activation; with a rectifier and no z it may be empty: what stood in front of it is then made
// again from x, which spares reading y twice. dx and dz may each be empty, and one of them may be
// dy. In 16 bits dx is made from dz as it was stored, where dz is wanted.
using batch_norm_backward_fn = void(Context& ctx,
                                    const BatchNormOpts& opts,
                                    const Tensor& x,
                                    const Tensor& y,
                                    const Tensor& dy,
                                    const Tensor& gamma,
                                    const Tensor& beta,
                                    const Tensor& mean,
                                    const Tensor& invstd,
                                    const Tensor& dx,
                                    const Tensor& dz,
                                    const Tensor& dgamma,
                                    const Tensor& dbeta);
LAMINA_OP(batch_norm_backward)

// Gradients of batch_norm_infer (statistics frozen): dx = gamma * invstd * dz, and the rest as
// above.
using batch_norm_backward_frozen_fn = void(Context& ctx,
                                           const BatchNormOpts& opts,
                                           const Tensor& x,
                                           const Tensor& y,
                                           const Tensor& dy,
                                           const BatchNormParams& p,
                                           const Tensor& dx,
                                           const Tensor& dz,
                                           const Tensor& dgamma,
                                           const Tensor& dbeta);
LAMINA_OP(batch_norm_backward_frozen)

}  // namespace lamina
