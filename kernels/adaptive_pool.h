// Average pooling to a given size, up or down (PyTorch: F.adaptive_avg_pool2d). 1x1 averages maps.
//   x, dx  [N,H,W,C]    y, dy  [N,P,Q,C]
//   window of p: rows [floor(p * H / P), ceil((p + 1) * H / P)), and columns of q likewise; windows
//   overlap where P does not divide H.
// Backward is the transpose; deterministic (gathers, no atomics).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/op.h"

namespace lamina {

using adaptive_avg_pool_forward_fn = void(Context& ctx, const Tensor& x, const Tensor& y);
LAMINA_OP(adaptive_avg_pool_forward)
using adaptive_avg_pool_backward_fn = void(Context& ctx, const Tensor& dy, const Tensor& dx);
LAMINA_OP(adaptive_avg_pool_backward)

}  // namespace lamina
