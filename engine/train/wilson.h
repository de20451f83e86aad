// How far an accuracy, measured on some images, may lie from that on all others like them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

namespace lamina {

// The Wilson score interval at 95 % of a share of `count` > 0.
// https://doi.org/10.1080/01621459.1927.10502953
inline std::pair<double, double> wilson_interval(double share, std::int64_t count) {
  constexpr double kZ = 1.959964;
  const auto n = static_cast<double>(count);
  const double z2 = kZ * kZ;
  const double centre = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

}  // namespace lamina
