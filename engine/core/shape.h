// The shape of an activation: N, H, W, C, stored in that order, C fastest.
//
// A flattened activation keeps its H, W and C, because the memory stays NHWC: `flat` says that the
// user sees it as [N, C*H*W] in PyTorch's order. Feature vectors are 1 x 1 x C.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace lamina {

struct Shape {
  std::int64_t n = 1, h = 1, w = 1, c = 1;
  bool flat = false;

  std::int64_t numel() const { return n * h * w * c; }
  std::int64_t per_sample() const { return h * w * c; }
  Shape with_n(std::int64_t batch) const { return {batch, h, w, c, flat}; }
  std::string to_string() const;  // as PyTorch prints it: "[64, 6, 28, 28]" or "[64, 120]"

  friend bool operator==(const Shape&, const Shape&) = default;
};

// [n, c] feature vectors.
inline Shape features(std::int64_t n, std::int64_t c) { return {n, 1, 1, c, true}; }

}  // namespace lamina
