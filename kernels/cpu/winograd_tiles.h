// What Winograd's filtering keeps of a tensor: the tiles of its images, and for each of the 36
// products a matrix of tiles and channels.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "engine/core/tensor.h"
#include "kernels/cpu/panels.h"
#include "kernels/cpu/winograd.h"

namespace lamina::cpu::winograd {

// The tiles of a tensor's height and width.
struct Tiles {
  std::int64_t rows, columns, count;
  explicit Tiles(const Shape& s)
      : rows((s.h + kOut - 1) / kOut),
        columns((s.w + kOut - 1) / kOut),
        count(s.n * rows * columns) {}
  // The first pixel of tile t.
  std::array<std::int64_t, 3> at(std::int64_t t) const {
    return {t / (rows * columns), t / columns % rows * kOut, t % columns * kOut};
  }
};

// Addresses of a size x size piece of an image, from row h and column w on; `zeros` for what lies
// outside.
template <int size>
struct Piece {
  const float* at[size][size];
  Piece(const float* image,
        const Shape& s,
        std::int64_t n,
        std::int64_t h,
        std::int64_t w,
        const float* zeros) {
    for (int i = 0; i < size; ++i) {
      for (int j = 0; j < size; ++j) {
        const bool inside = h + i >= 0 && h + i < s.h && w + j >= 0 && w + j < s.w;
        at[i][j] = inside ? image + ((n * s.h + h + i) * s.w + w + j) * s.c : zeros;
      }
    }
  }
  LAMINA_INLINE void load_channels(std::int64_t c, Vec (&d)[size][size]) const {
    for (int i = 0; i < size; ++i)
      for (int j = 0; j < size; ++j) d[i][j] = load(at[i][j] + c);
  }
};

// One of v, m or z: 36 matrices [rows][channels], a little apart: they would else share a cache
// set. kWidth: of their panels; 0: whole rows.
template <std::int64_t kWidth = 0>
struct Products {
  float* data;
  std::int64_t rows, channels, step;  // step: from one matrix to the next

  Products(float* memory, std::int64_t row_count, std::int64_t c)
      : data(memory), rows(row_count), channels(c), step(floats_of_one(row_count, c)) {}
  static std::int64_t floats_of_one(std::int64_t row_count, std::int64_t c) {
    return row_count * c + kLanes;
  }
  static std::int64_t floats(std::int64_t row_count, std::int64_t c) {
    return kProducts * floats_of_one(row_count, c);
  }
  float* of(int product) const { return data + product * step; }
  LAMINA_INLINE std::int64_t offset(std::int64_t row, std::int64_t c) const {
    if constexpr (kWidth == 0)
      return row * channels + c;
    else
      return Panels<kWidth>{rows, channels}.offset(row, c);
  }
  LAMINA_INLINE void store_tile(std::int64_t row, std::int64_t c, const Vec (&z)[kIn][kIn]) const {
    float* to = data + offset(row, c);
    for (int i = 0; i < kIn; ++i)
      for (int j = 0; j < kIn; ++j, to += step) store(to, z[i][j]);
  }
  LAMINA_INLINE void load_tile(std::int64_t row, std::int64_t c, Vec (&z)[kIn][kIn]) const {
    const float* from = data + offset(row, c);
    for (int i = 0; i < kIn; ++i)
      for (int j = 0; j < kIn; ++j, from += step) z[i][j] = load(from);
  }
};

}  // namespace lamina::cpu::winograd
