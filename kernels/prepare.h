// From the resident data set to the first layer's input, in one pass: gather by permutation,
// augment (augment.h), normalise, resize (bilinear, as upsample.h), cast.
//   images  [M,H0,W0,C] u8    labels  [M] i32    order  [count] i32, sample numbers in [0, M)
//   x       [N,H,W,C'] the augmented images[order[cursor+i]], (pixel / 255 - mean[c]) / stddev[c],
//                      resized to H x W; C' >= C: channels from C on are zero, for kernels that
//                      want whole vectors
//   y       [N] i32    labels[order[cursor+i]]
// Augmentation is drawn by (opts.augment.seed, state->step, i); without it images are as they are.
// cursor comes from `state` (device memory); cursor + N <= count is the caller's duty.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "engine/core/step_state.h"
#include "kernels/augment.h"
#include "kernels/op.h"

namespace lamina {

struct PrepareOpts {
  std::array<float, 4> mean{0, 0, 0, 0};
  std::array<float, 4> stddev{1, 1, 1, 1};
  AugmentOpts augment;
};

using prepare_fn = void(Context& ctx,
                        const PrepareOpts& opts,
                        const StepState* state,
                        const Tensor& images,
                        const Tensor& labels,
                        const Tensor& order,
                        const Tensor& x,
                        const Tensor& y);
LAMINA_OP(prepare)

}  // namespace lamina
