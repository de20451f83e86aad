// What convolution and linear layers need around the libraries' products.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/activation.h"

namespace lamina::cuda {

// y = act(y + b).  y [..., C], b [C] or empty.
void add_bias_act(Context& ctx, Act act, const Tensor& b, const Tensor& y);

// Back through activation and bias, in one launch:
//   dy = dy * act'(y), in place     db[c] = sum over N, H and W of dy as it is stored then
//   y, dy  [..., C]     db  [C] of the same dtype, or empty
// Without an activation dy stays as it is and y is not read. Deterministic.
void bias_act_backward(Context& ctx, Act act, const Tensor& y, const Tensor& dy, const Tensor& db);

}  // namespace lamina::cuda
