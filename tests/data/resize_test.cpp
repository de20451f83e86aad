// Pictures made into squares.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/resize.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/data/image_files.h"
#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

std::vector<std::uint8_t> square(const Picture& picture, std::int64_t side) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(side * side * picture.c));
  resize_to_square(picture, side, out);
  return out;
}

// The same in one go, in float64, from the definition: a tent over each output pixel, as wide as
// the step between two of them and at least one input pixel.
double reference(
    const Picture& in, std::int64_t side, std::int64_t y, std::int64_t x, std::int64_t c) {
  const std::int64_t shorter = std::min(in.h, in.w);
  const std::int64_t h = side * in.h / shorter, w = side * in.w / shorter;
  const auto place = [&](std::int64_t length, std::int64_t at) {
    return static_cast<double>(at) + std::nearbyint(static_cast<double>(length - side) / 2) + 0.5;
  };
  const double step_y = static_cast<double>(in.h) / static_cast<double>(h);
  const double step_x = static_cast<double>(in.w) / static_cast<double>(w);
  const double middle_y = place(h, y) * step_y, middle_x = place(w, x) * step_x;
  double sum = 0, weights = 0;
  for (std::int64_t i = 0; i < in.h; ++i) {
    for (std::int64_t j = 0; j < in.w; ++j) {
      const double wy =
          1 - std::abs(static_cast<double>(i) + 0.5 - middle_y) / std::max(step_y, 1.0);
      const double wx =
          1 - std::abs(static_cast<double>(j) + 0.5 - middle_x) / std::max(step_x, 1.0);
      if (wy <= 0 || wx <= 0) continue;
      sum += wy * wx * in.pixels[static_cast<std::size_t>((i * in.w + j) * in.c + c)];
      weights += wy * wx;
    }
  }
  return sum / weights;
}

TEST(Resize, AgreesWithItsDefinition) {
  for (const auto& [h, w, side] : {std::array<std::int64_t, 3>{30, 47, 13},
                                   {47, 30, 13},
                                   {13, 13, 40},
                                   {9, 100, 20},
                                   {31, 33, 30},
                                   {1, 5, 4}}) {
    Picture picture{h, w, 3, {}};
    for (std::int64_t i = 0; i < h * w * 3; ++i)
      picture.pixels.push_back(static_cast<std::uint8_t>((i * 2654435761u) >> 13));
    const std::vector<std::uint8_t> out = square(picture, side);
    for (std::int64_t y = 0; y < side; ++y) {
      for (std::int64_t x = 0; x < side; ++x) {
        for (std::int64_t c = 0; c < 3; ++c)
          // Rounded twice: once across and once down.
          ASSERT_NEAR(out[static_cast<std::size_t>((y * side + x) * 3 + c)],
                      reference(picture, side, y, x, c),
                      1.1)
              << h << "x" << w << " to " << side << " at " << y << ", " << x;
      }
    }
  }
}

TEST(Resize, KeepsWhatNeedsNoChange) {
  const Picture picture = sample_picture(16, 16);
  EXPECT_EQ(square(picture, 16), picture.pixels);
  const Picture white{100, 37, 3, std::vector<std::uint8_t>(11100, 255)};
  EXPECT_EQ(square(white, 11), std::vector<std::uint8_t>(363, 255));
}

TEST(Resize, TakesTheMiddle) {
  Picture wide{2, 6, 1, {0, 0, 9, 9, 0, 0, 0, 0, 9, 9, 0, 0}};
  EXPECT_EQ(square(wide, 2), std::vector<std::uint8_t>(4, 9));
  Picture tall{6, 2, 1, {0, 0, 0, 0, 9, 9, 9, 9, 0, 0, 0, 0}};
  EXPECT_EQ(square(tall, 2), std::vector<std::uint8_t>(4, 9));
}

// A chessboard of single pixels is grey from afar; plain bilinear would make it black or white.
TEST(Resize, MakesAChessboardGrey) {
  Picture board{60, 60, 1, {}};
  for (int i = 0; i < 3600; ++i)
    board.pixels.push_back((i / 60 + i) % 2 == 0 ? std::uint8_t{0} : std::uint8_t{255});
  for (std::uint8_t sample : square(board, 12)) EXPECT_NEAR(sample, 127, 8);
}

TEST(Resize, RefusesWhatDoesNotFit) {
  std::vector<std::uint8_t> out(5);
  expect_contains(request_error_of([&] { resize_to_square(sample_picture(4, 4), 2, out); }),
                  "4x4x3 cannot become 5 bytes");
}

}  // namespace
}  // namespace lamina
