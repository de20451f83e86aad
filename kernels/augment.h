// Random crop and mirror image of one training sample, drawn alike by every backend and every
// kernel.
//
// The crop has the image's own size and is cut from the image with `padding` black pixels on every
// side; then the mirror. (torchvision: RandomCrop(size, padding), RandomHorizontalFlip.)
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/core/philox.h"

namespace lamina {

struct AugmentOpts {
  int padding = 0;    // 0: no crop
  bool flip = false;  // with probability one half
  std::uint64_t seed = 0;

  LAMINA_HOST_DEVICE bool active() const { return padding > 0 || flip; }
};

// Where pixel (h, w) of the augmented image comes from: row h + down, column w + right, or
// width - 1 - w + right when mirrored; outside of the image it is black.
struct Placement {
  int down = 0, right = 0;
  bool mirrored = false;

  LAMINA_HOST_DEVICE int column(int w, int width) const {
    return (mirrored ? width - 1 - w : w) + right;
  }
};

// Of sample n of the batch in this training step.
LAMINA_HOST_DEVICE inline Placement draw_placement(const AugmentOpts& opts,
                                                   std::int64_t step,
                                                   std::int64_t n) {
  const Philox4 bits = philox(
      opts.seed, stream::kAugment, static_cast<std::uint32_t>(step), static_cast<std::uint64_t>(n));
  const std::uint64_t places = 2 * static_cast<std::uint64_t>(opts.padding) + 1;
  Placement place;
  place.down = static_cast<int>((bits.v[0] * places) >> 32) - opts.padding;
  place.right = static_cast<int>((bits.v[1] * places) >> 32) - opts.padding;
  place.mirrored = opts.flip && (bits.v[2] >> 31) != 0;
  return place;
}

}  // namespace lamina
