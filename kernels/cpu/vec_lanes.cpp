// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/vec_lanes.h"

namespace lamina::cpu {
namespace {

// One block of kLanes floats of each image, from f on.
template <bool full>
LAMINA_INLINE void gather_block(const Tile& tile, const float* from, float* to, std::int64_t step) {
  Vec m[kLanes];
  LAMINA_UNROLL
  for (int lane = 0; lane < kLanes; ++lane)
    m[lane] = full || lane < tile.images ? load(from + lane * tile.stride) : Vec{};
  transpose(m);
  LAMINA_UNROLL
  for (int f = 0; f < kLanes; ++f) store(to + f * step, m[f]);
}

template <bool full>
LAMINA_INLINE void scatter_block(const Tile& tile, const float* from, float* to) {
  Vec m[kLanes];
  LAMINA_UNROLL
  for (int f = 0; f < kLanes; ++f) m[f] = load(from + f * kLanes);
  transpose(m);
  LAMINA_UNROLL
  for (int lane = 0; lane < kLanes; ++lane)
    if (full || lane < tile.images) store(to + lane * tile.stride, m[lane]);
}

// Blocks cover [0, count); the last one starts early rather than reaching beyond the end.
template <class Block>
LAMINA_INLINE void for_each_block(std::int64_t count, const Block& block) {
  std::int64_t f = 0;
  for (; f + kLanes <= count; f += kLanes) block(f);
  if (f < count) block(count - kLanes);
}

}  // namespace

void gather_lanes(
    const Tile& tile, const float* from, std::int64_t count, float* to, std::int64_t step) {
  if (count < kLanes) {
    for (std::int64_t f = 0; f < count; ++f)
      for (std::int64_t lane = 0; lane < kLanes; ++lane)
        to[f * step + lane] = lane < tile.images ? from[lane * tile.stride + f] : 0.0f;
    return;
  }
  if (tile.images == kLanes)
    for_each_block(
        count, [&](std::int64_t f) { gather_block<true>(tile, from + f, to + f * step, step); });
  else
    for_each_block(
        count, [&](std::int64_t f) { gather_block<false>(tile, from + f, to + f * step, step); });
}

void scatter_lanes(const Tile& tile, const float* from, std::int64_t count, float* to) {
  if (count < kLanes) {
    for (std::int64_t f = 0; f < count; ++f)
      for (std::int64_t lane = 0; lane < tile.images; ++lane)
        to[lane * tile.stride + f] = from[f * kLanes + lane];
    return;
  }
  if (tile.images == kLanes)
    for_each_block(count,
                   [&](std::int64_t f) { scatter_block<true>(tile, from + f * kLanes, to + f); });
  else
    for_each_block(count,
                   [&](std::int64_t f) { scatter_block<false>(tile, from + f * kLanes, to + f); });
}

}  // namespace lamina::cpu
