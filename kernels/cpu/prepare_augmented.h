// The batch of prepare() with what is drawn for each sample, and what both ways of making a batch
// share. Contract: kernels/prepare.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cpu/storage.h"
#include "kernels/cpu/vec.h"
#include "kernels/prepare.h"

namespace lamina::cpu {

inline constexpr std::int64_t kLevels = 256;

// A pixel has only 256 values, so normalising is a look-up: table[c][value].
void fill_levels(const PrepareOpts& opts,
                 const Colour& colour,
                 std::int64_t channels,
                 float* table);
void normalise(const std::uint8_t* pixels,
               std::int64_t count,
               std::int64_t channels,
               const float* table,
               float* out);

// Pixels of `channels` to pixels of `wide`, whose further channels are zero.
void widen(
    const float* from, std::int64_t pixels, std::int64_t channels, std::int64_t wide, float* to);

// make(row) writes so many floats: to where they belong, or in bf16 to `spare`, to be rounded
// there.
template <class T, class Make>
void make_row(T* to, std::int64_t floats, float* spare, const Make& make) {
  if constexpr (std::is_same_v<T, float>) {
    make(to);
  } else {
    make(spare);
    map_range(
        0, floats, [](const Vec& v) { return v; }, to, spare);
  }
}

// What x is made of, checked.
struct PrepareArgs {
  const PrepareOpts& opts;
  const StepState& state;
  Shape in;
  const std::uint8_t* images = nullptr;
  const std::int32_t* order = nullptr;   // from the cursor on
  const std::int32_t* pixels = nullptr;  // null: none
  Tensor x;
};

// x with everything but mixup.
void prepare_augmented(Context& ctx, const PrepareArgs& args);

// Mixup of f32, in place.
void mix(Context& ctx, float weight, const Tensor& x);

// x in bf16 with mixup too: samples are blended before they are rounded.
void prepare_mixed(Context& ctx, const PrepareArgs& args, float weight);

}  // namespace lamina::cpu
