// Where an output row or column of a bilinear resize comes from: two inputs and their weights.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

namespace lamina::ref {

struct Taps {
  std::int64_t index[2];
  double weight[2];
};

// Centres of pixels are at half coordinates; what lies outside is the edge pixel.
inline Taps taps_of(std::int64_t out, std::int64_t in_size, std::int64_t out_size) {
  const double position = (static_cast<double>(out) + 0.5) * static_cast<double>(in_size) /
                              static_cast<double>(out_size) -
                          0.5;
  const double source = std::max(0.0, position);
  const auto lower = std::min(static_cast<std::int64_t>(source), in_size - 1);
  const auto upper = std::min(lower + 1, in_size - 1);
  const double fraction = source - static_cast<double>(lower);
  return {{lower, upper}, {1 - fraction, fraction}};
}

}  // namespace lamina::ref
