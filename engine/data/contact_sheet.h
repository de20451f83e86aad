// Many small images with captions on one page: as a picture, or as text for a terminal.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lamina {

struct Picture {
  std::int64_t h = 0, w = 0, c = 1;  // c is 1 (grey) or 3 (RGB)
  std::vector<std::uint8_t> pixels;  // [h,w,c]
};

struct Tile {
  std::span<const std::uint8_t> pixels;  // [h,w,c], as all of a sheet
  std::string caption;
};

struct TileShape {
  std::int64_t h = 0, w = 0, c = 1;
};

// Small images are enlarged; captions that are too long for their column are cut. columns = 0: a
// page a little wider than high.
Picture contact_sheet(std::span<const Tile> tiles, TileShape shape, std::int64_t columns = 0);

// One line of dark letters; all of it has to lie within the picture.
inline constexpr std::int64_t kLetterWidth = 12, kLetterHeight = 16;
void draw_text(std::string_view text, std::int64_t top, std::int64_t left, Picture& picture);

enum class Ink {
  letters,      // a scale of letters, for files and plain terminals
  half_blocks,  // grey half blocks with ANSI colours
};
// As many tiles beside each other as `width` characters hold; large images are made smaller.
std::string text_sheet(std::span<const Tile> tiles, TileShape shape, int width, Ink ink);

}  // namespace lamina
