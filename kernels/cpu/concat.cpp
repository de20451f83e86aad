// SPDX-License-Identifier: Apache-2.0
#include "kernels/concat.h"

#include <cstring>

#include "engine/core/parallel.h"
#include "kernels/checks.h"

namespace lamina::cpu {
namespace {

// Between maps whose rows differ in length.
void copy_rows(const Context& ctx, const Tensor& x, const Tensor& y) {
  const auto* const from = static_cast<const std::byte*>(x.data);
  auto* const to = static_cast<std::byte*>(y.data);
  const auto size = static_cast<std::int64_t>(size_of(x.dtype));
  const std::int64_t channels = x.shape.c * size, from_row = x.row() * size,
                     to_row = y.row() * size;
  constexpr std::int64_t kBytes = 65536;  // that a thread should copy at least
  parallel_for(ctx, x.rows(), 1 + kBytes / channels, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      std::memcpy(to + row * to_row, from + row * from_row, static_cast<std::size_t>(channels));
  });
}

}  // namespace

void concat(Context& ctx, std::span<const Tensor> x, const Tensor& y) {
  checks::concat(ctx, x, y);
  std::int64_t first = 0;
  for (const Tensor& part : x) {
    if (!lies_in(part, y, first)) copy_rows(ctx, part, slice_channels(y, first, part.shape.c));
    first += part.shape.c;
  }
}

void split(Context& ctx,
           const Tensor& dy,
           std::span<const Tensor> dx,
           std::span<const std::int64_t> channels) {
  checks::split(ctx, dy, dx, channels);
  std::int64_t first = 0;
  for (std::size_t i = 0; i < dx.size(); ++i) {
    if (dx[i] && !lies_in(dx[i], dy, first))
      copy_rows(ctx, slice_channels(dy, first, channels[i]), dx[i]);
    first += channels[i];
  }
}

}  // namespace lamina::cpu
