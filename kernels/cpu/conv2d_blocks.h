// The inner loops of the direct convolution, on tiles of images (vec_lanes.h): every number here is
// a vector of one value an image.
//
// With unit dilation the taps of a window row lie side by side: tap t = s*C + c of output q is
// element (q*stride*C + t) of the input row. Both kernels keep a block of `a` times `b` sums in
// registers; `a` counts filters, `b` output pixels (correlate) or taps (gradient).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/cpu/vec.h"

namespace lamina::cpu {

inline constexpr std::int64_t kMaxA = 8, kMaxB = 6;

// What the compiler can keep in registers: the sums, b operands and one more.
constexpr bool block_fits(std::int64_t a, std::int64_t b) { return a * b + b + 1 < kRegisters; }

// Cycles a block takes to start and end, and for each step of its loop: two multiply-adds a cycle
// and what was measured on top. Small blocks lose more to the rest.
constexpr double block_cost(std::int64_t a, std::int64_t b, std::int64_t steps) {
  const auto sums = static_cast<double>(a * b);
  return sums + 6 + static_cast<double>(steps) * (sums / 2 + 1.5);
}

// out[b][a] = bias[a] + sum over rows r and taps t of x[r][b * x_step + t] * w[r][t][a]
struct CorrelateArgs {
  const float* x;     // of the first row and first output of the block
  const float* w;     // of the first row; floats, not lanes
  const float* bias;  // a floats
  float* out;
  std::int64_t rows, taps_begin, taps_end;
  // Distances in floats: between rows, between outputs.
  std::int64_t x_row, x_step, w_row, out_step;
};
using CorrelateBlock = void(const CorrelateArgs& args);
CorrelateBlock* correlate_block(std::int64_t a, std::int64_t b);

// sums[a][b] = sum over output rows p and pixels q of x[p][q * x_step + b] * dy[p][q * dy_step +
// a]
struct GradientArgs {
  const float* x;  // of the first row, pixel and tap
  const float* dy;
  float* sums;
  bool add;
  std::int64_t rows, pixels;
  std::int64_t x_row, x_step, dy_row, dy_step;
};
using GradientBlock = void(const GradientArgs& args);
GradientBlock* gradient_block(std::int64_t a, std::int64_t b);

// Calls body(first, size) for blocks that cover [0, count); the last may be smaller.
template <class Body>
void for_each_block(std::int64_t count, std::int64_t size, const Body& body) {
  for (std::int64_t i = 0; i < count; i += size) body(i, i + size <= count ? size : count - i);
}

struct BlockSize {
  std::int64_t a, b;
};

// The block size of least cost for `filters` and `count`, where steps(first, size) is how often the
// loop inside a block of b runs.
template <class Steps>
BlockSize choose_block(std::int64_t filters, std::int64_t count, const Steps& steps) {
  BlockSize best{1, 1};
  double best_cost = -1;
  for (std::int64_t a = 1; a <= kMaxA && a <= filters; ++a)
    for (std::int64_t b = 1; b <= kMaxB && b <= count; ++b) {
      if (!block_fits(a, b)) continue;
      double cost = 0;
      for_each_block(filters, a, [&](std::int64_t, std::int64_t na) {
        for_each_block(count, b, [&](std::int64_t first, std::int64_t nb) {
          cost += block_cost(na, nb, steps(first, nb));
        });
      });
      if (best_cost < 0 || cost < best_cost) {
        best = {a, b};
        best_cost = cost;
      }
    }
  return best;
}

}  // namespace lamina::cpu
