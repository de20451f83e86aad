// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/conv2d_blocks.h"

#include <array>
#include <utility>

#include "kernels/cpu/vec.h"

namespace lamina::cpu {
namespace {

template <int a, int b>
void correlate(const CorrelateArgs& args) {
  Vec sum[a][b];
  LAMINA_UNROLL
  for (int i = 0; i < a; ++i) {
    LAMINA_UNROLL
    for (int j = 0; j < b; ++j) sum[i][j] = splat(args.bias[i]);
  }
  const std::int64_t x_step = args.x_step;
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * args.x_row + args.taps_begin * kLanes;
    const float* w = args.w + r * args.w_row + args.taps_begin * a;
    for (std::int64_t t = args.taps_begin; t < args.taps_end; ++t) {
      Vec v[b];
      LAMINA_UNROLL
      for (int j = 0; j < b; ++j) v[j] = load(x + j * x_step);
      LAMINA_UNROLL
      for (int i = 0; i < a; ++i) {
        const Vec weight = splat(w[i]);
        LAMINA_UNROLL
        for (int j = 0; j < b; ++j) sum[i][j] = multiply_add(v[j], weight, sum[i][j]);
      }
      x += kLanes;
      w += a;
    }
  }
  LAMINA_UNROLL
  for (int j = 0; j < b; ++j) {
    LAMINA_UNROLL
    for (int i = 0; i < a; ++i) store(args.out + j * args.out_step + i * kLanes, sum[i][j]);
  }
}

template <int a, int b>
void gradient(const GradientArgs& args) {
  Vec sum[a][b] = {};
  for (std::int64_t p = 0; p < args.rows; ++p) {
    const float* x = args.x + p * args.x_row;
    const float* dy = args.dy + p * args.dy_row;
    for (std::int64_t q = 0; q < args.pixels; ++q) {
      Vec v[b];
      LAMINA_UNROLL
      for (int j = 0; j < b; ++j) v[j] = load(x + j * kLanes);
      LAMINA_UNROLL
      for (int i = 0; i < a; ++i) {
        const Vec g = load(dy + i * kLanes);
        LAMINA_UNROLL
        for (int j = 0; j < b; ++j) sum[i][j] = multiply_add(v[j], g, sum[i][j]);
      }
      x += args.x_step;
      dy += args.dy_step;
    }
  }
  if (args.add) {
    LAMINA_UNROLL
    for (int i = 0; i < a; ++i) {
      LAMINA_UNROLL
      for (int j = 0; j < b; ++j) sum[i][j] += load(args.sums + (i * b + j) * kLanes);
    }
  }
  LAMINA_UNROLL
  for (int i = 0; i < a; ++i) {
    LAMINA_UNROLL
    for (int j = 0; j < b; ++j) store(args.sums + (i * b + j) * kLanes, sum[i][j]);
  }
}

template <int a, int b>
constexpr CorrelateBlock* correlate_entry() {
  if constexpr (block_fits(a, b)) return &correlate<a, b>;
  return nullptr;
}
template <int a, int b>
constexpr GradientBlock* gradient_entry() {
  if constexpr (block_fits(a, b)) return &gradient<a, b>;
  return nullptr;
}

// One function for each block size that fits.
template <int... i>
constexpr auto correlate_table(std::integer_sequence<int, i...>) {
  return std::array{correlate_entry<i / kMaxB + 1, i % kMaxB + 1>()...};
}
template <int... i>
constexpr auto gradient_table(std::integer_sequence<int, i...>) {
  return std::array{gradient_entry<i / kMaxB + 1, i % kMaxB + 1>()...};
}

}  // namespace

CorrelateBlock* correlate_block(std::int64_t a, std::int64_t b) {
  static constexpr auto table = correlate_table(std::make_integer_sequence<int, kMaxA * kMaxB>{});
  return table[static_cast<std::size_t>((a - 1) * kMaxB + b - 1)];
}

GradientBlock* gradient_block(std::int64_t a, std::int64_t b) {
  static constexpr auto table = gradient_table(std::make_integer_sequence<int, kMaxA * kMaxB>{});
  return table[static_cast<std::size_t>((a - 1) * kMaxB + b - 1)];
}

}  // namespace lamina::cpu
