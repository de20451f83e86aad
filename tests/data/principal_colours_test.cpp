// Principal components of colours, against matrices and pixels with known ones.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/principal_colours.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/core/error.h"

namespace lamina {
namespace {

Dataset rgb(std::vector<std::uint8_t> pixels) {
  Dataset data;
  data.name = "drawn";
  data.h = 1;
  data.w = static_cast<std::int64_t>(pixels.size() / 3);
  data.count = 1;
  data.c = 3;
  data.images = std::move(pixels);
  return data;
}

// 2 -1 0 / -1 2 -1 / 0 -1 2 has the eigenvalues 2 + sqrt 2, 2 and 2 - sqrt 2.
TEST(PrincipalColours, OfAKnownMatrix) {
  const PrincipalColours got = principal_colours({{{2, -1, 0}, {-1, 2, -1}, {0, -1, 2}}});
  const double half = 0.5, root = std::sqrt(0.5);
  const PrincipalColours want{{2 + 2 * root, 2, 2 - 2 * root},
                              {{{-half, root, -half}, {root, 0, -root}, {half, root, half}}}};
  for (std::size_t j = 0; j < 3; ++j) {
    EXPECT_NEAR(got.values[j], want.values[j], 1e-14);
    // Of two largest entries either may be the positive one.
    const double sign = got.vectors[j][0] * want.vectors[j][0] < 0 ? -1 : 1;
    for (std::size_t k = 0; k < 3; ++k)
      EXPECT_NEAR(got.vectors[j][k], sign * want.vectors[j][k], 1e-14) << j << k;
  }
}

TEST(PrincipalColours, OfDiagonalAndEmptyMatrices) {
  const PrincipalColours some = principal_colours({{{1, 0, 0}, {0, 5, 0}, {0, 0, 3}}});
  EXPECT_EQ(some.values, (std::array<double, 3>{5, 3, 1}));
  EXPECT_EQ(some.vectors[0], (std::array<double, 3>{0, 1, 0}));
  EXPECT_EQ(some.vectors[2], (std::array<double, 3>{1, 0, 0}));
  EXPECT_EQ(principal_colours({}).values, (std::array<double, 3>{0, 0, 0}));
}

TEST(PrincipalColours, OfPixels) {
  // Deviations from the mean (100, 60, 200): +-(30, 0, -10), +-(0, 20, 0).
  const Dataset data = rgb({130, 60, 190, 70, 60, 210, 100, 80, 200, 100, 40, 200});
  const Matrix3 covariance = colour_covariance(data);
  const double scale = 255.0 * 255.0;
  const Matrix3 want{{{450, 0, -150}, {0, 200, 0}, {-150, 0, 50}}};
  for (std::size_t a = 0; a < 3; ++a)
    for (std::size_t b = 0; b < 3; ++b)
      EXPECT_NEAR(covariance[a][b] * scale, want[a][b], 1e-9) << a << b;
  const PrincipalColours got = principal_colours(covariance);
  EXPECT_NEAR(got.values[0] * scale, 500, 1e-9);
  EXPECT_NEAR(got.values[1] * scale, 200, 1e-9);
  EXPECT_NEAR(got.values[2] * scale, 0, 1e-9);
  EXPECT_NEAR(got.vectors[0][0], 3 / std::sqrt(10.0), 1e-12);
  EXPECT_NEAR(got.vectors[0][2], -1 / std::sqrt(10.0), 1e-12);
}

TEST(PrincipalColours, RefusesGreyImages) {
  Dataset grey = rgb({1, 2, 3});
  grey.c = 1;
  try {
    colour_covariance(grey);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::request);
    EXPECT_NE(std::string(error.what()).find("1 channels"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lamina
