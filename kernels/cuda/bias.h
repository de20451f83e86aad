// What convolution and linear layers need around the libraries' products.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/activation.h"

namespace lamina::cuda {

// y = act(y + b).  y [..., C], b [C] or empty.
void add_bias_act(Context& ctx, Act act, const Tensor& b, const Tensor& y);

// db[c] = sum of dy over N, H and W.  dy [..., C], db [C] of the same dtype. Deterministic.
void bias_gradient(Context& ctx, const Tensor& dy, const Tensor& db);

}  // namespace lamina::cuda
