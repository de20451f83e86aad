// Softmax and log-softmax over the features of each sample, with the maximum subtracted first.
//   x, y, dx, dy  [N,F], F = H*W*C
// Backward needs y only:  softmax      dx = y * (dy - sum(dy * y))
//                         log-softmax  dx = dy - exp(y) * sum(dy)
// y may be x; dx may be dy.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/op.h"

namespace lamina {

using softmax_forward_fn = void(Context& ctx, const Tensor& x, const Tensor& y);
LAMINA_OP(softmax_forward)
using softmax_backward_fn = void(Context& ctx, const Tensor& y, const Tensor& dy, const Tensor& dx);
LAMINA_OP(softmax_backward)
using log_softmax_forward_fn = void(Context& ctx, const Tensor& x, const Tensor& y);
LAMINA_OP(log_softmax_forward)
using log_softmax_backward_fn = void(Context& ctx,
                                     const Tensor& y,
                                     const Tensor& dy,
                                     const Tensor& dx);
LAMINA_OP(log_softmax_backward)

}  // namespace lamina
