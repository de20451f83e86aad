// From the resident data set to the first layer's input, in one pass: gather by permutation,
// augment (augment.h), normalise, resize (bilinear, as upsample.h), blend (mixup.h), cast.
//   images  [M,H0,W0,C] u8    labels  [M] i32    order  [count] i32, sample numbers in [0, M)
//   x       [N,H,W,C'] the augmented images[order[cursor+i]], (pixel / 255 - mean[c]) / stddev[c],
//                      resized to H x W; C' >= C: channels from C on are zero, for kernels that
//                      want whole vectors
//   pixels  [H0*W0] i32  the place in the data set that each pixel of an image is taken from, first
//                      of all and for all images alike; empty: where it is
//   y       [N] i32    labels[order[cursor+i]]
// Augmentation is drawn by (opts.augment.seed, state->step, i); without it images are as they are.
// Resized is the part of the image that was drawn, to its own edges. Mixup takes images i and N-1-i
// as they are after everything else; y are the labels of images i.
// cursor comes from `state` (device memory); cursor + N <= count is the caller's duty.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "engine/core/step_state.h"
#include "kernels/augment.h"
#include "kernels/mixup.h"
#include "kernels/op.h"

namespace lamina {

struct PrepareOpts {
  std::array<float, 4> mean{0, 0, 0, 0};
  std::array<float, 4> stddev{1, 1, 1, 1};
  AugmentOpts augment;
  MixupOpts mixup;
};

using prepare_fn = void(Context& ctx,
                        const PrepareOpts& opts,
                        const StepState* state,
                        const Tensor& images,
                        const Tensor& labels,
                        const Tensor& order,
                        const Tensor& x,
                        const Tensor& y,
                        const Tensor& pixels);
LAMINA_OP(prepare)

}  // namespace lamina
