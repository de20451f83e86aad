// Random changes of one training sample, drawn alike by every backend and every kernel:
//   crop         of the image's own size, from the image with `padding` black pixels on every side
//                (torchvision's RandomCrop(size, padding)), or
//   window       a part of random size and shape, stretched to the size of the output
//                (torchvision's RandomResizedCrop, without its filter against aliasing);
//   mirror       of that part (RandomHorizontalFlip);
//   colour       one random shift of all pixels along the principal components of the data set's
//                colours, before normalising: Krizhevsky et al., "ImageNet classification with deep
//                convolutional neural networks", 2012, section 4.1;
//   cutout       a square of the normalised output at zero, the mean: DeVries and Taylor,
//                https://arxiv.org/abs/1708.04552.
// Of a sample n of a step they take the blocks n + (k << 32) of the stream: k = 0 crop and mirror,
// 1 to 10 the attempts at a window, 11 the cutout, from 16 on the colour.
// What goes through double is rounded to integers or to a coarse grid, so that last bits, in which
// backends differ, do not show.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/core/philox.h"

namespace lamina {

struct AugmentOpts {
  int padding = 0;    // 0: no crop
  bool flip = false;  // with probability one half
  std::uint64_t seed = 0;
  double window = 0;  // the least share of the image's area, in (0, 1]; 0: no window
  int cutout = 0;     // side of the square; 0: none
  double colour = 0;  // deviation of the draws; 0: no shift
  // Column j: the j-th eigenvector of the colours' covariance times its eigenvalue, in pixels
  // scaled to [0, 1].
  float components[3][3] = {};

  LAMINA_HOST_DEVICE bool active() const {
    return padding > 0 || flip || window > 0 || cutout > 0 || colour > 0;
  }
};

// A part of the image, where row h and column w of it come from: row h + down, column w + right,
// or width - 1 - w + right when mirrored; outside of the image it is black.
// This and what follows has no initialisers, so that it can lie in a GPU's shared memory.
struct Placement {
  int down, right, height, width;
  bool mirrored;

  LAMINA_HOST_DEVICE int column(int w) const { return (mirrored ? width - 1 - w : w) + right; }
};

// A square of the output, [top, top + size) x [left, left + size).
struct Square {
  int top, left, size;

  LAMINA_HOST_DEVICE bool covers(int p, int q) const {
    return p >= top && p - top < size && q >= left && q - left < size;
  }
};

struct Colour {
  float shift[3];  // of pixels scaled to [0, 1]
};

struct Augmentation {
  Placement place;
  Square hole;
  Colour colour;
};

namespace augment {

LAMINA_HOST_DEVICE inline Philox4 bits_of(const AugmentOpts& opts,
                                          std::int64_t step,
                                          std::int64_t n,
                                          int k) {
  return philox(opts.seed,
                stream::kAugment,
                static_cast<std::uint32_t>(step),
                static_cast<std::uint64_t>(n) + (static_cast<std::uint64_t>(k) << 32));
}

// Uniform in [0, bound).
LAMINA_HOST_DEVICE inline int below(std::uint32_t bits, int bound) {
  return static_cast<int>((static_cast<std::uint64_t>(bits) * static_cast<std::uint64_t>(bound)) >>
                          32);
}

LAMINA_HOST_DEVICE inline double uniform(std::uint32_t bits, double low, double high) {
  return low + (high - low) * (bits * (1.0 / 4294967296.0));
}

LAMINA_HOST_DEVICE inline int nearest(double value) { return static_cast<int>(floor(value + 0.5)); }

constexpr int kCutoutBlock = 11, kColourBlock = 16;

}  // namespace augment

// Of the whole image; `height` and `width` are the image's.
LAMINA_HOST_DEVICE inline Placement whole_image(int height, int width) {
  return {0, 0, height, width, false};
}

// Share of the area uniform in [opts.window, 1], logarithm of width / height uniform in
// [log 3/4, log 4/3], position uniform. After ten attempts that do not fit: the largest part in
// the middle whose sides have one of these ratios.
LAMINA_HOST_DEVICE inline Placement draw_window(
    const AugmentOpts& opts, int height, int width, std::int64_t step, std::int64_t n) {
  constexpr int kAttempts = 10;
  constexpr double kFlattest = 4.0 / 3, kLogFlattest = 0.28768207245178092744;
  const double area = static_cast<double>(height) * width;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    const Philox4 bits = augment::bits_of(opts, step, n, attempt);
    const double target = area * augment::uniform(bits.v[0], opts.window, 1);
    const double ratio = exp(augment::uniform(bits.v[1], -kLogFlattest, kLogFlattest));
    const int h = augment::nearest(sqrt(target / ratio)),
              w = augment::nearest(sqrt(target * ratio));
    if (h < 1 || w < 1 || h > height || w > width) continue;
    return {augment::below(bits.v[2], height - h + 1),
            augment::below(bits.v[3], width - w + 1),
            h,
            w,
            false};
  }
  int h = height, w = width;
  if (width * kFlattest < height) h = augment::nearest(width * kFlattest);
  if (height * kFlattest < width) w = augment::nearest(height * kFlattest);
  return {(height - h) / 2, (width - w) / 2, h, w, false};
}

// Of sample n of the batch in this training step; `height` and `width` are the image's.
LAMINA_HOST_DEVICE inline Placement draw_placement(
    const AugmentOpts& opts, int height, int width, std::int64_t step, std::int64_t n) {
  const Philox4 bits = augment::bits_of(opts, step, n, 0);
  Placement place = whole_image(height, width);
  if (opts.window > 0) {
    place = draw_window(opts, height, width, step, n);
  } else {
    place.down = augment::below(bits.v[0], 2 * opts.padding + 1) - opts.padding;
    place.right = augment::below(bits.v[1], 2 * opts.padding + 1) - opts.padding;
  }
  place.mirrored = opts.flip && (bits.v[2] >> 31) != 0;
  return place;
}

// Its centre is a pixel of the output, each equally likely; the border clips it.
LAMINA_HOST_DEVICE inline Square draw_cutout(
    const AugmentOpts& opts, int height, int width, std::int64_t step, std::int64_t n) {
  const Philox4 bits = augment::bits_of(opts, step, n, augment::kCutoutBlock);
  return {augment::below(bits.v[0], height) - opts.cutout / 2,
          augment::below(bits.v[1], width) - opts.cutout / 2,
          opts.cutout};
}

// Three numbers from N(0, 1), multiples of 2^-12, times the components. Marsaglia's polar method,
// https://doi.org/10.1137/1006063.
LAMINA_HOST_DEVICE inline Colour draw_colour(const AugmentOpts& opts,
                                             std::int64_t step,
                                             std::int64_t n) {
  constexpr int kAttempts = 48;  // each fails with probability 0.215
  constexpr double kNormalGrid = 4096.0, kShiftGrid = 1048576.0;
  double a = 0, b = 0, c = 0;
  int found = 0;
  for (int attempt = 0; attempt < kAttempts && found < 3; ++attempt) {
    const Philox4 bits = augment::bits_of(opts, step, n, augment::kColourBlock + attempt);
    const double u = augment::uniform(bits.v[0], -1, 1), v = augment::uniform(bits.v[1], -1, 1);
    const double s = u * u + v * v;
    if (s <= 0 || s >= 1) continue;
    a = b;
    b = c;
    c = floor(u * sqrt(-2 * log(s) / s) * kNormalGrid + 0.5) / kNormalGrid;
    ++found;
  }
  const auto along = [&](const float(&row)[3]) {
    const double sum = a * static_cast<double>(row[0]) + b * static_cast<double>(row[1]) +
                       c * static_cast<double>(row[2]);
    return static_cast<float>(floor(opts.colour * sum * kShiftGrid + 0.5) / kShiftGrid);
  };
  return {{along(opts.components[0]), along(opts.components[1]), along(opts.components[2])}};
}

// All of it, for images of h x w that become h_out x w_out. Into memory, and not by value, so that
// few registers are held.
LAMINA_HOST_DEVICE inline void draw_augmentation(const AugmentOpts& opts,
                                                 int h,
                                                 int w,
                                                 int h_out,
                                                 int w_out,
                                                 std::int64_t step,
                                                 std::int64_t n,
                                                 Augmentation& drawn) {
  drawn = {whole_image(h, w), {0, 0, 0}, {{0, 0, 0}}};
  if (opts.padding > 0 || opts.flip || opts.window > 0)
    drawn.place = draw_placement(opts, h, w, step, n);
  if (opts.cutout > 0) drawn.hole = draw_cutout(opts, h_out, w_out, step, n);
  if (opts.colour > 0) drawn.colour = draw_colour(opts, step, n);
}

}  // namespace lamina
