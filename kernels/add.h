// The sum of two branches, with an activation behind it: the end of a residual block.
//   forward   y = act(a + scale * b)
//   backward  da = dy * act'(y), db = scale * dy * act'(y)
//   a, b, y, da, db, dy  any shape, all of one shape and dtype
// y may be a or b; da or db may be dy, and either may be empty. y is read only where act is not
// none and may be empty otherwise. He et al., https://arxiv.org/abs/1512.03385; the scale: Szegedy
// et al., https://arxiv.org/abs/1602.07261, section 3.3.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/activation.h"
#include "kernels/op.h"

namespace lamina {

struct AddOpts {
  Act act = Act::none;
  double scale = 1;
};

using add_forward_fn =
    void(Context& ctx, const AddOpts& opts, const Tensor& a, const Tensor& b, const Tensor& y);
LAMINA_OP(add_forward)

using add_backward_fn = void(Context& ctx,
                             const AddOpts& opts,
                             const Tensor& y,
                             const Tensor& dy,
                             const Tensor& da,
                             const Tensor& db);
LAMINA_OP(add_backward)

}  // namespace lamina
