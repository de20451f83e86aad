// A font of 5 x 8 pixels for the captions of images, where no font library is worth its weight.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace lamina {

inline constexpr int kGlyphWidth = 5, kGlyphHeight = 8;
inline constexpr int kGlyphAdvance = 6;  // from one character to the next

// Whether the pixel at column x, row y of a character is ink. ASCII; a box stands for the others.
bool glyph_pixel(char c, int x, int y);

}  // namespace lamina
