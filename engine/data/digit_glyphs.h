// The shapes of the ten digits as people write them: pen strokes, for synthetic_digits.cpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <vector>

namespace lamina {

struct Point {
  float x, y;
};

// Quadratic Bezier curves in a row: point, control, point, control, ..., point. The box of a digit
// reaches from (0, 0), top left, to (1, 1).
using Stroke = std::vector<Point>;
using Glyph = std::vector<Stroke>;

inline constexpr int kDigits = 10;

// Two or three shapes for each digit.
std::array<std::vector<Glyph>, kDigits> digit_glyphs();

}  // namespace lamina
