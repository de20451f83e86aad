// Contact sheets as pictures, as text and as PNG.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/contact_sheet.h"

#include <gtest/gtest.h>
#include <png.h>

#include <algorithm>
#include <set>

#include "engine/data/bitmap_font.h"
#include "engine/data/png.h"
#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

std::string drawn(char c) {
  std::string text;
  for (int y = 0; y < kGlyphHeight; ++y) {
    for (int x = 0; x < kGlyphWidth; ++x) text += glyph_pixel(c, x, y) ? '#' : '.';
    text += '/';
  }
  return text;
}

TEST(BitmapFont, DrawsCharactersOnTheirOwnPlaces) {
  EXPECT_EQ(drawn('L'), "#..../#..../#..../#..../#..../#..../#####/...../");
  EXPECT_EQ(drawn('i'), "..#../...../.##../..#../..#../..#../.###./...../");
  EXPECT_EQ(drawn('-'), "...../...../...../.###./...../...../...../...../");
  EXPECT_EQ(drawn(' '), "...../...../...../...../...../...../...../...../");
  const std::string box = "#####/#...#/#...#/#...#/#...#/#...#/#####/...../";
  EXPECT_EQ(drawn('\n'), box);
  EXPECT_EQ(drawn(static_cast<char>(0xC3)), box);
  EXPECT_NE(drawn('~'), box);
}

TEST(BitmapFont, NoTwoCharactersLookAlike) {
  std::set<std::string> shapes;
  for (char c = ' '; c <= '~'; ++c) shapes.insert(drawn(c));
  EXPECT_EQ(shapes.size(), 95u);
}

// Three images of 2x2 with one bright pixel each.
struct Images {
  std::vector<std::uint8_t> pixels = {200, 0, 0, 0, 0, 200, 0, 0, 0, 0, 200, 0};
  std::vector<Tile> tiles;
  Images() {
    for (std::size_t i = 0; i < 3; ++i)
      tiles.push_back({std::span(pixels).subspan(i * 4, 4), std::to_string(i)});
  }
};

TEST(ContactSheet, PutsEveryImageInItsCell) {
  const Images images;
  const Picture sheet = contact_sheet(images.tiles, {2, 2, 1}, 2);
  ASSERT_EQ(sheet.pixels.size(), static_cast<std::size_t>(sheet.h * sheet.w));
  // 56 pixels for one of the image, 10 between, a line of text of 16 and 15 below.
  EXPECT_EQ(sheet.w, 10 + 2 * (112 + 10));
  EXPECT_EQ(sheet.h, 10 + 2 * (112 + 16 + 15));
  const auto at = [&](std::int64_t y, std::int64_t x) {
    return sheet.pixels[static_cast<std::size_t>(y * sheet.w + x)];
  };
  EXPECT_EQ(at(0, 0), 255);
  EXPECT_EQ(at(10, 10), 200);
  EXPECT_EQ(at(10 + 55, 10 + 55), 200);
  EXPECT_EQ(at(10 + 56, 10 + 56), 0);
  EXPECT_EQ(at(10, 10 + 122 + 55), 0);
  EXPECT_EQ(at(10, 10 + 122 + 56), 200);        // the second, its right pixel
  EXPECT_EQ(at(10 + 143 + 56, 10), 200);        // the third, on the next row, its lower pixel
  EXPECT_EQ(at(10 + 143 + 56, 10 + 122), 255);  // no fourth
  int ink = 0;
  for (std::int64_t x = 10; x < 22; ++x) {
    for (std::int64_t y = 126; y < 142; ++y) ink += at(y, x) == 40 ? 1 : 0;
  }
  EXPECT_GT(ink, 20) << "no caption";
}

TEST(ContactSheet, ShowsColours) {
  const std::vector<std::uint8_t> pixels = {10, 20, 30};
  const std::vector<Tile> tiles = {{pixels, "x"}};
  const Picture sheet = contact_sheet(tiles, {1, 1, 3});
  const std::size_t middle = static_cast<std::size_t>((60 * sheet.w + 60) * 3);
  EXPECT_EQ(sheet.c, 3);
  EXPECT_EQ(sheet.pixels[middle], 10);
  EXPECT_EQ(sheet.pixels[middle + 2], 30);
}

TEST(ContactSheet, CutsLongCaptions) {
  const std::vector<std::uint8_t> pixels(4);
  const std::vector<Tile> tiles = {{pixels, std::string(500, 'W')}};
  EXPECT_LT(contact_sheet(tiles, {2, 2, 1}).w, 250);
  EXPECT_EQ(text_sheet(tiles, {2, 2, 1}, 80, Ink::letters).find("WW"), std::string::npos);
}

TEST(ContactSheet, KeepsCaptionsApart) {
  const std::vector<std::uint8_t> pixels(4);
  const std::vector<Tile> tiles = {{pixels, std::string(14, 'W')}, {pixels, std::string(14, 'W')}};
  const Picture sheet = contact_sheet(tiles, {2, 2, 1}, 2);
  // The second caption begins where its image does; of the room before it, two letters are blank.
  const std::int64_t second = (sheet.w - 10) / 2 + 10;
  for (std::int64_t y = 126; y < 142; ++y) {
    for (std::int64_t x = second - 20; x < second; ++x)
      EXPECT_EQ(sheet.pixels[static_cast<std::size_t>(y * sheet.w + x)], 255);
  }
  EXPECT_EQ(sheet.pixels[static_cast<std::size_t>(130 * sheet.w + second)], 40);
}

TEST(ContactSheet, RefusesWhatIsNoImage) {
  const std::vector<std::uint8_t> pixels(4);
  const std::vector<Tile> tiles = {{pixels, "cat"}};
  expect_contains(request_error_of([&] { contact_sheet({}, {2, 2, 1}); }), "one image or more");
  expect_contains(request_error_of([&] { contact_sheet(tiles, {2, 2, 2}); }), "grey or RGB");
  expect_contains(request_error_of([&] { contact_sheet(tiles, {2, 3, 1}); }), "'cat'");
}

TEST(TextSheet, DrawsWithLetters) {
  const Images images;
  const std::vector<std::uint8_t> stripes = {255, 255, 255, 0, 0, 0, 0, 128, 255, 0, 128, 255};
  const std::vector<Tile> tiles = {{stripes, "top"}, {stripes, "low"}};
  // Two rows of pixels make one of letters: 127, 127, 127 and 0, 128, 255 of ten steps.
  EXPECT_EQ(text_sheet(tiles, {4, 3, 1}, 80, Ink::letters), "===  ===\n +@   +@\ntop  low  \n\n");
  EXPECT_EQ(text_sheet(tiles, {4, 3, 1}, 7, Ink::letters),
            "===\n +@\ntop  \n\n===\n +@\nlow  \n\n");
}

TEST(TextSheet, DrawsWithHalfBlocks) {
  // Two rows of pixels make one of blocks; a colour is named where it changes.
  const std::vector<std::uint8_t> pixels = {0, 0, 255, 255, 255, 0};
  const std::vector<Tile> tiles = {{pixels, "x"}};
  EXPECT_EQ(text_sheet(tiles, {3, 2, 1}, 80, Ink::half_blocks),
            "\033[38;5;232;48;5;255m▀▀\033[0m\n"
            "\033[38;5;255;48;5;232m▀\033[38;5;232;48;5;232m▀\033[0m\nx   \n\n");
}

TEST(TextSheet, MakesLargeImagesSmaller) {
  const std::vector<std::uint8_t> pixels(224 * 224, 255);
  const std::vector<Tile> tiles = {{pixels, "white"}};
  const std::string text = text_sheet(tiles, {224, 224, 1}, 80, Ink::letters);
  EXPECT_EQ(text.find('\n'), 38u);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 19 + 2);
}

TEST(Png, IsReadBackByLibpng) {
  Picture picture{3, 5, 3, std::vector<std::uint8_t>(45)};
  for (std::size_t i = 0; i < 45; ++i) picture.pixels[i] = static_cast<std::uint8_t>(5 * i);
  const std::string bytes = encode_png(picture);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  ASSERT_NE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()), 0);
  EXPECT_EQ(image.width, 5u);
  EXPECT_EQ(image.height, 3u);
  image.format = PNG_FORMAT_RGB;
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image));
  ASSERT_NE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr), 0);
  EXPECT_EQ(pixels, picture.pixels);
}

TEST(Png, RefusesAPictureWithoutPixels) {
  expect_contains(failure_of([] { encode_png({0, 0, 1, {}}); }), "0x0 pixels");
}

}  // namespace
}  // namespace lamina
