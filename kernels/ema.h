// The exponential moving average of the parameters, whose weights often generalise better than the
// last ones (Polyak & Juditsky, https://doi.org/10.1137/0330046).
//   w     [count] f32   read          ema  [count] f32   ema += (1 - decay) * (w - ema)
//   copy  [count]       ema rounded to bf16 or f16, for the forward pass; may be empty
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/op.h"

namespace lamina {

using ema_step_fn =
    void(Context& ctx, double decay, const Tensor& w, const Tensor& ema, const Tensor& copy);
LAMINA_OP(ema_step)

}  // namespace lamina
