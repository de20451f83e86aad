// SPDX-License-Identifier: Apache-2.0
#include "engine/data/contact_sheet.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/data/bitmap_font.h"

namespace lamina {
namespace {

constexpr std::uint8_t kPaper = 255, kText = 40;
constexpr std::int64_t kTileSide = 112;  // what small images are enlarged to, in pixels
constexpr std::int64_t kMargin = 10;
constexpr int kTextScale = 2;
static_assert(kLetterWidth == kGlyphAdvance * kTextScale &&
              kLetterHeight == kGlyphHeight * kTextScale);

void check(std::span<const Tile> tiles, TileShape shape) {
  LAMINA_CHECK(!tiles.empty() && shape.h > 0 && shape.w > 0 && (shape.c == 1 || shape.c == 3),
               "a sheet takes one image or more, grey or RGB, not {} of {}x{}x{}.",
               tiles.size(),
               shape.h,
               shape.w,
               shape.c);
  for (const Tile& tile : tiles)
    LAMINA_CHECK(std::ssize(tile.pixels) == shape.h * shape.w * shape.c,
                 "the image '{}' of a sheet has {} bytes, but {}x{}x{} were announced.",
                 tile.caption,
                 tile.pixels.size(),
                 shape.h,
                 shape.w,
                 shape.c);
}

std::string cut(const std::string& text, std::int64_t length) {
  if (std::ssize(text) <= length) return text;
  return text.substr(0, static_cast<std::size_t>(std::max<std::int64_t>(length - 2, 0))) + "..";
}

std::int64_t longest_caption(std::span<const Tile> tiles) {
  std::int64_t longest = 0;
  for (const Tile& tile : tiles)
    longest = std::max<std::int64_t>(longest, std::ssize(tile.caption));
  return longest;
}

std::uint8_t* pixel(Picture& picture, std::int64_t y, std::int64_t x) {
  return &picture.pixels[static_cast<std::size_t>((y * picture.w + x) * picture.c)];
}

// Brightness of a box of pixels, 0 to 255.
int brightness(
    const Tile& tile, TileShape shape, std::int64_t top, std::int64_t left, std::int64_t side) {
  std::int64_t sum = 0, count = 0;
  for (std::int64_t y = top; y < std::min(top + side, shape.h); ++y) {
    for (std::int64_t x = left; x < std::min(left + side, shape.w); ++x) {
      for (std::int64_t c = 0; c < shape.c; ++c, ++count)
        sum += tile.pixels[static_cast<std::size_t>((y * shape.w + x) * shape.c + c)];
    }
  }
  return count == 0 ? 0 : static_cast<int>(sum / count);
}

std::string letter_row(const Tile& tile, TileShape shape, std::int64_t top, std::int64_t side) {
  constexpr std::string_view kScale = " .:-=+*#%@";
  std::string row;
  for (std::int64_t x = 0; x < shape.w; x += side) {
    const int level =
        (brightness(tile, shape, top, x, side) + brightness(tile, shape, top + side, x, side)) / 2;
    row += kScale[static_cast<std::size_t>(level) * kScale.size() / 256];
  }
  return row;
}

// Two pixels a character: the upper as its colour, the lower as its background. 232 to 255 are the
// greys of the 256-colour palette.
std::string block_row(const Tile& tile, TileShape shape, std::int64_t top, std::int64_t side) {
  constexpr int kFirstGrey = 232, kGreys = 24;
  std::string row, colours;
  for (std::int64_t x = 0; x < shape.w; x += side) {
    const int upper = brightness(tile, shape, top, x, side) * kGreys / 256;
    const int lower = brightness(tile, shape, top + side, x, side) * kGreys / 256;
    const std::string wanted =
        fmt::format("\033[38;5;{};48;5;{}m", kFirstGrey + upper, kFirstGrey + lower);
    if (wanted != colours) row += wanted;
    colours = wanted;
    row += "▀";
  }
  return row + "\033[0m";
}

}  // namespace

void draw_text(std::string_view text, std::int64_t top, std::int64_t left, Picture& picture) {
  for (char c : text) {
    for (int y = 0; y < kGlyphHeight * kTextScale; ++y) {
      for (int x = 0; x < kGlyphWidth * kTextScale; ++x) {
        if (glyph_pixel(c, x / kTextScale, y / kTextScale))
          std::fill_n(pixel(picture, top + y, left + x), picture.c, kText);
      }
    }
    left += kLetterWidth;
  }
}

Picture contact_sheet(std::span<const Tile> tiles, TileShape shape, std::int64_t columns) {
  check(tiles, shape);
  const std::int64_t count = std::ssize(tiles);
  if (columns <= 0)
    columns = static_cast<std::int64_t>(std::ceil(std::sqrt(1.25 * static_cast<double>(count))));
  columns = std::min(columns, count);
  const std::int64_t rows = (count + columns - 1) / columns;
  const std::int64_t zoom = std::max<std::int64_t>(1, kTileSide / std::max(shape.h, shape.w));
  const std::int64_t tile_w = zoom * shape.w, tile_h = zoom * shape.h;
  const std::int64_t letters =
      std::min(longest_caption(tiles), std::max(tile_w, 3 * kTileSide / 2) / kLetterWidth);
  // Between captions there is more than between words.
  const std::int64_t cell_w = std::max(tile_w + kMargin, (letters + 2) * kLetterWidth);
  const std::int64_t cell_h = tile_h + kLetterHeight + kMargin * 3 / 2;

  Picture sheet{kMargin + rows * cell_h, kMargin + columns * cell_w, shape.c, {}};
  sheet.pixels.assign(static_cast<std::size_t>(sheet.h * sheet.w * sheet.c), kPaper);
  for (std::int64_t i = 0; i < count; ++i) {
    const Tile& tile = tiles[static_cast<std::size_t>(i)];
    const std::int64_t top = kMargin + i / columns * cell_h, left = kMargin + i % columns * cell_w;
    for (std::int64_t y = 0; y < tile_h; ++y) {
      for (std::int64_t x = 0; x < tile_w; ++x) {
        const auto from = static_cast<std::size_t>((y / zoom * shape.w + x / zoom) * shape.c);
        std::copy_n(&tile.pixels[from], shape.c, pixel(sheet, top + y, left + x));
      }
    }
    draw_text(cut(tile.caption, letters), top + tile_h + 4, left, sheet);
  }
  return sheet;
}

std::string text_sheet(std::span<const Tile> tiles, TileShape shape, int width, Ink ink) {
  check(tiles, shape);
  constexpr std::int64_t kGap = 2, kMostCharacters = 40;
  // Pixels of the image to one character's width.
  const std::int64_t side = (shape.w + kMostCharacters - 1) / kMostCharacters;
  const std::int64_t tile_w = (shape.w + side - 1) / side;
  const auto columns =
      static_cast<std::size_t>(std::max<std::int64_t>(1, (width + kGap) / (tile_w + kGap)));
  std::string text;
  for (std::size_t first = 0; first < tiles.size(); first += columns) {
    const auto row = tiles.subspan(first, std::min(columns, tiles.size() - first));
    for (std::int64_t top = 0; top < shape.h; top += 2 * side) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (i > 0) text.append(kGap, ' ');
        text += ink == Ink::letters ? letter_row(row[i], shape, top, side)
                                    : block_row(row[i], shape, top, side);
      }
      text += '\n';
    }
    for (std::size_t i = 0; i < row.size(); ++i)
      text += fmt::format("{:<{}}", cut(row[i].caption, tile_w), tile_w + kGap);
    text += "\n\n";
  }
  return text;
}

}  // namespace lamina
