// Bilinear resize, align_corners = false (PyTorch's F.interpolate), up or down, no antialiasing.
//   source coordinate of p: max(0, (p + 0.5) * H / P - 0.5)
//   x, dx  [N,H,W,C]    y, dy  [N,P,Q,C]
// Backward is the transpose; deterministic (gathers, no atomics).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/op.h"

namespace lamina {

using upsample_forward_fn = void(Context& ctx, const Tensor& x, const Tensor& y);
LAMINA_OP(upsample_forward)
using upsample_backward_fn = void(Context& ctx, const Tensor& dy, const Tensor& dx);
LAMINA_OP(upsample_backward)

}  // namespace lamina
