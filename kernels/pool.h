// Max and average pooling.
//   x  [N,H,W,C]    y  [N,P,Q,C]    dx, dy like them; y and dy may be slices of channels
//   idx  [N,P,Q,C] u8  offset r*S+s of the winner in its window, for backward; empty in inference
// Padding never wins a maximum; among equals the first in row order wins. Averages count the
// padding when count_include_pad (PyTorch's default). ceil_mode rounds P and Q up, but a window
// must start inside the input or its left padding (PyTorch's rule). NaN wins a maximum.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/op.h"

namespace lamina {

struct PoolOpts {
  std::int64_t r = 2, s = 2;
  std::int64_t stride_h = 2, stride_w = 2;
  std::int64_t pad_h = 0, pad_w = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;  // average only
};

Shape pool_output(const PoolOpts& opts, const Shape& x);  // throws when the window does not fit

using max_pool_forward_fn =
    void(Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y, const Tensor& idx);
LAMINA_OP(max_pool_forward)
using max_pool_backward_fn =
    void(Context& ctx, const PoolOpts& opts, const Tensor& dy, const Tensor& idx, const Tensor& dx);
LAMINA_OP(max_pool_backward)
using avg_pool_forward_fn = void(Context& ctx,
                                 const PoolOpts& opts,
                                 const Tensor& x,
                                 const Tensor& y);
LAMINA_OP(avg_pool_forward)
using avg_pool_backward_fn = void(Context& ctx,
                                  const PoolOpts& opts,
                                  const Tensor& dy,
                                  const Tensor& dx);
LAMINA_OP(avg_pool_backward)

}  // namespace lamina
