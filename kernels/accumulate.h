// y += x.  Where a value has several consumers the first gradient overwrites, later ones come here.
//   x, y  any shape, same dtype; y read and written, and may be a slice of channels. Deterministic.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/op.h"

namespace lamina {

using accumulate_fn = void(Context& ctx, const Tensor& x, const Tensor& y);
LAMINA_OP(accumulate)

}  // namespace lamina
