// Pointwise activations.
//   relu max(x,0); relu6 min(max(x,0),6); tanh; sigmoid 1/(1+exp(-x))
// Backward needs y only: every derivative here is a function of the output.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "kernels/op.h"

namespace lamina {

enum class Act { none, relu, relu6, tanh, sigmoid };

std::string_view name_of(Act act);  // "relu"
// Whether the derivative can be told from x as well as from y: it is 0 or 1.
constexpr bool is_rectifier(Act act) { return act == Act::relu || act == Act::relu6; }

// y = act(x).  x, y: any shape, same dtype. y may be x.
using act_forward_fn = void(Context& ctx, Act act, const Tensor& x, const Tensor& y);
LAMINA_OP(act_forward)

// dx = dy * act'(x), from y = act(x).  All of one shape and dtype. dx may be dy. relu has
// derivative 0 at y = 0, relu6 at 0 and 6 (PyTorch's choice).
using act_backward_fn =
    void(Context& ctx, Act act, const Tensor& y, const Tensor& dy, const Tensor& dx);
LAMINA_OP(act_backward)

}  // namespace lamina
