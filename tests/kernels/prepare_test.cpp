// Where augmentation takes its pixels from.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/augment.h"

#include <algorithm>
#include <cstdlib>

#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

// Drawn by hand: the mirror first, then the shift; what comes from outside is black.
TEST(Augment, PlacesPixels) {
  const Placement moved{.down = 1, .right = -2}, mirrored{.right = 1, .mirrored = true};
  EXPECT_EQ(moved.column(0, 5), -2);
  EXPECT_EQ(mirrored.column(0, 5), 5);
  EXPECT_EQ(mirrored.column(4, 5), 1);
  int flips = 0, furthest = 0;
  bool same = true;
  for (int n = 0; n < 1000; ++n) {
    const Placement place = draw_placement({3, true, 7}, 2, n);
    flips += place.mirrored;
    furthest = std::max({furthest, std::abs(place.down), std::abs(place.right)});
    same = same && place.down == place.right;
  }
  EXPECT_NEAR(flips, 500, 80);  // five standard deviations
  EXPECT_EQ(furthest, 3);
  EXPECT_FALSE(same);
  EXPECT_FALSE(draw_placement({3, false, 7}, 2, 0).mirrored);
}

}  // namespace
}  // namespace lamina::test
