// Channels side by side: the end of an Inception block, and its gradient.
//   concat  y[n,h,w, first_i + c] = x_i[n,h,w,c]
//   split   dx_i[n,h,w,c] = dy[n,h,w, first_i + c]
//   x_i, dx_i  [N,H,W,C_i]    y, dy  [N,H,W,sum of C_i]    first_i = C_0 + ... + C_(i-1)
// All of one dtype; copies, so results are exact. Every tensor may be a slice of channels. A part
// that lies in its place in y or dy already is left alone; an empty dx_i is skipped.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "kernels/op.h"

namespace lamina {

// Whether a part is the slice of `whole` that starts at channel `first`.
inline bool lies_in(const Tensor& part, const Tensor& whole, std::int64_t first) {
  return part.is_slice() && part.pitch == whole.row() &&
         part.data == slice_channels(whole, first, part.shape.c).data;
}

using concat_fn = void(Context& ctx, std::span<const Tensor> x, const Tensor& y);
LAMINA_OP(concat)

// channels: C_i of every part, those that are skipped too.
using split_fn = void(Context& ctx,
                      const Tensor& dy,
                      std::span<const Tensor> dx,
                      std::span<const std::int64_t> channels);
LAMINA_OP(split)

}  // namespace lamina
