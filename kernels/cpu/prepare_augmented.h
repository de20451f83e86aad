// The batch of prepare() with what is drawn for each sample, and what both ways of making a batch
// share. Contract: kernels/prepare.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "kernels/prepare.h"

namespace lamina::cpu {

inline constexpr std::int64_t kLevels = 256;

// A pixel has only 256 values, so normalising is a look-up: table[c][value].
inline void fill_levels(const PrepareOpts& opts,
                        const Colour& colour,
                        std::int64_t channels,
                        float* table) {
  for (std::int64_t c = 0; c < channels; ++c) {
    const double shift = opts.augment.colour > 0 ? colour.shift[c] : 0;
    for (std::int64_t level = 0; level < kLevels; ++level)
      table[c * kLevels + level] = static_cast<float>(
          (static_cast<double>(level) / 255.0 + shift - opts.mean[c]) / opts.stddev[c]);
  }
}

inline void normalise(const std::uint8_t* pixels,
                      std::int64_t count,
                      std::int64_t channels,
                      const float* table,
                      float* out) {
  if (channels == 1) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = table[pixels[i]];
    return;
  }
  for (std::int64_t i = 0; i < count; i += channels)
    for (std::int64_t c = 0; c < channels; ++c) out[i + c] = table[c * kLevels + pixels[i + c]];
}

// Pixels of `channels` to pixels of `wide`, whose further channels are zero.
inline void widen(
    const float* from, std::int64_t pixels, std::int64_t channels, std::int64_t wide, float* to) {
  for (std::int64_t i = 0; i < pixels; ++i) {
    std::copy_n(from + i * channels, channels, to + i * wide);
    std::fill_n(to + i * wide + channels, wide - channels, 0.0f);
  }
}

// What x is made of, checked.
struct PrepareArgs {
  const PrepareOpts& opts;
  const StepState& state;
  Shape in;
  const std::uint8_t* images;
  const std::int32_t* order;   // from the cursor on
  const std::int32_t* pixels;  // null: none
  Tensor x;
};

// x with everything but mixup.
void prepare_augmented(Context& ctx, const PrepareArgs& args);

// Mixup, in place.
void mix(Context& ctx, float weight, const Tensor& x);

}  // namespace lamina::cpu
