// A height and a width; one number means both: `.kernel = 5`, `.kernel = {1, 7}`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace lamina::nn {

struct Size2 {
  std::int64_t h, w;
  constexpr Size2(std::int64_t both) : h(both), w(both) {}  // NOLINT: the conversion is the point
  constexpr Size2(std::int64_t height, std::int64_t width) : h(height), w(width) {}
};

}  // namespace lamina::nn
