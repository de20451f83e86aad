// SPDX-License-Identifier: Apache-2.0
#include "kernels/concat.h"

#include <cstring>

#include "engine/core/parallel.h"
#include "kernels/checks.h"

namespace lamina::cpu {
namespace {

// Copies `channels` floats a row, between rows of different lengths.
void copy_rows(const Context& ctx,
               std::int64_t rows,
               std::int64_t channels,
               const float* from,
               std::int64_t from_row,
               float* to,
               std::int64_t to_row) {
  constexpr std::int64_t kFloats = 16384;  // that a thread should copy at least
  parallel_for(ctx, rows, 1 + kFloats / channels, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      std::memcpy(to + row * to_row,
                  from + row * from_row,
                  static_cast<std::size_t>(channels) * sizeof(float));
  });
}

}  // namespace

void concat(Context& ctx, std::span<const Tensor> x, const Tensor& y) {
  checks::concat(ctx, x, y);
  const std::int64_t rows = y.numel() / y.shape.c;
  float* to = y.as<float>();
  for (const Tensor& part : x) {
    copy_rows(ctx, rows, part.shape.c, part.as<float>(), part.shape.c, to, y.shape.c);
    to += part.shape.c;
  }
}

void split(Context& ctx,
           const Tensor& dy,
           std::span<const Tensor> dx,
           std::span<const std::int64_t> channels) {
  checks::split(ctx, dy, dx, channels);
  const std::int64_t rows = dy.numel() / dy.shape.c;
  const float* from = dy.as<float>();
  for (std::size_t i = 0; i < dx.size(); ++i) {
    if (dx[i]) copy_rows(ctx, rows, channels[i], from, dy.shape.c, dx[i].as<float>(), channels[i]);
    from += channels[i];
  }
}

}  // namespace lamina::cpu
