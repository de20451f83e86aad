// Images side by side: lane i of every vector belongs to image i of a tile. NHWC memory is turned
// into that order and back by transposing blocks of kLanes x kLanes floats.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cpu/vec.h"

namespace lamina::cpu {

// Of a and b, within each quarter of a register (half of an AVX register): their first or last two
// elements in turn, then their first or last pairs; of the quarters: the even or the odd ones.
#ifdef __AVX512F__
LAMINA_INLINE Vec interleave_low(const Vec& a, const Vec& b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
}
LAMINA_INLINE Vec interleave_high(const Vec& a, const Vec& b) {
  return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
}
LAMINA_INLINE Vec pairs_low(const Vec& a, const Vec& b) {
  return __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
}
LAMINA_INLINE Vec pairs_high(const Vec& a, const Vec& b) {
  return __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}
LAMINA_INLINE Vec quads_even(const Vec& a, const Vec& b) {
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
}
LAMINA_INLINE Vec quads_odd(const Vec& a, const Vec& b) {
  return __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
}
#else
LAMINA_INLINE Vec interleave_low(const Vec& a, const Vec& b) {
  return __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
}
LAMINA_INLINE Vec interleave_high(const Vec& a, const Vec& b) {
  return __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
}
LAMINA_INLINE Vec pairs_low(const Vec& a, const Vec& b) {
  return __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
}
LAMINA_INLINE Vec pairs_high(const Vec& a, const Vec& b) {
  return __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
}
LAMINA_INLINE Vec quads_even(const Vec& a, const Vec& b) {
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
}
LAMINA_INLINE Vec quads_odd(const Vec& a, const Vec& b) {
  return __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
}
#endif

// Rows and columns of a block of kLanes x kLanes change places: within the quads of a register
// first, then the quads themselves, of which a register has n / 4.
template <int n>
LAMINA_INLINE void transpose(Vec (&m)[n]) {
  static_assert(n == kLanes);
  constexpr int half = n / 2;
  Vec t[n];
  LAMINA_UNROLL
  for (int i = 0; i < n; i += 2) {
    t[i] = interleave_low(m[i], m[i + 1]);
    t[i + 1] = interleave_high(m[i], m[i + 1]);
  }
  LAMINA_UNROLL
  for (int i = 0; i < n; i += 4) {
    m[i] = pairs_low(t[i], t[i + 2]);
    m[i + 1] = pairs_high(t[i], t[i + 2]);
    m[i + 2] = pairs_low(t[i + 1], t[i + 3]);
    m[i + 3] = pairs_high(t[i + 1], t[i + 3]);
  }
  if constexpr (n == 16) {
    LAMINA_UNROLL
    for (int i = 0; i < 4; ++i) {
      t[i] = quads_even(m[i], m[i + 4]);
      t[i + 4] = quads_odd(m[i], m[i + 4]);
      t[i + 8] = quads_even(m[i + 8], m[i + 12]);
      t[i + 12] = quads_odd(m[i + 8], m[i + 12]);
    }
    LAMINA_UNROLL
    for (int i = 0; i < 4; ++i) {
      m[i] = quads_even(t[i], t[i + 8]);
      m[i + 8] = quads_odd(t[i], t[i + 8]);
      m[i + 4] = quads_even(t[i + 4], t[i + 12]);
      m[i + 12] = quads_odd(t[i + 4], t[i + 12]);
    }
  } else {
    LAMINA_UNROLL
    for (int i = 0; i < half; ++i) {
      t[i] = quads_even(m[i], m[i + half]);
      t[i + half] = quads_odd(m[i], m[i + half]);
    }
    LAMINA_UNROLL
    for (int i = 0; i < n; ++i) m[i] = t[i];
  }
}

// lane i of the result is the sum of the lanes of m[i], always in the same order.
template <int n>
LAMINA_INLINE Vec sum_each(Vec (&m)[n]) {
  static_assert(n == kLanes);
  LAMINA_UNROLL
  for (int i = 0; i < n / 2; ++i)
    m[i] = interleave_low(m[2 * i], m[2 * i + 1]) + interleave_high(m[2 * i], m[2 * i + 1]);
  LAMINA_UNROLL
  for (int i = 0; i < n / 4; ++i)
    m[i] = pairs_low(m[2 * i], m[2 * i + 1]) + pairs_high(m[2 * i], m[2 * i + 1]);
  LAMINA_UNROLL
  for (int i = 0; i < n / 8 && n > 8; ++i)
    m[i] = quads_even(m[2 * i], m[2 * i + 1]) + quads_odd(m[2 * i], m[2 * i + 1]);
  return quads_even(m[0], m[1]) + quads_odd(m[0], m[1]);
}

// The images of a tile: up to kLanes, `stride` floats apart.
struct Tile {
  std::int64_t images, stride;
};

// to[f][lane] = from[lane * stride + f] for f in [0, count); lanes without an image are zero. The
// vectors of `to` are `step` floats apart.
void gather_lanes(
    const Tile& tile, const float* from, std::int64_t count, float* to, std::int64_t step = kLanes);
// to[lane * stride + f] = from[f][lane], for the lanes that have an image.
void scatter_lanes(const Tile& tile, const float* from, std::int64_t count, float* to);

}  // namespace lamina::cpu
