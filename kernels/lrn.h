// Local response normalisation across channels (PyTorch: nn.LocalResponseNorm).
//   scale[c] = k + alpha / size * sum of x[j]^2 over j in [c - size/2, c + (size - 1)/2]
//   y[c] = x[c] * scale[c]^-beta, within each pixel; channels outside the tensor count as zeros
//   x, y, dx, dy  [N,H,W,C]
// Backward reads x alone: the scale is cheaper to make again than to keep. Deterministic (gathers,
// no atomics). Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional
// neural networks", 2012, section 3.3.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/op.h"

namespace lamina {

struct LrnOpts {
  std::int64_t size = 5;  // channels, 1 to 64
  double alpha = 1e-4, beta = 0.75;
  double k = 1;  // positive
};

using lrn_forward_fn = void(Context& ctx, const LrnOpts& opts, const Tensor& x, const Tensor& y);
LAMINA_OP(lrn_forward)
using lrn_backward_fn =
    void(Context& ctx, const LrnOpts& opts, const Tensor& x, const Tensor& dy, const Tensor& dx);
LAMINA_OP(lrn_backward)

}  // namespace lamina
