// Noise for measurements.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "engine/data/dataset.h"
#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

Dataset draw(DataOpts opts, Part part = Part::train) {
  return load_dataset("synthetic-images", part, opts);
}

TEST(SyntheticImages, AreAsManyAndAsLargeAsAskedFor) {
  EXPECT_EQ(draw({.image_size = 4}).count, 1024);
  const Dataset data = draw({.limit = 2000, .image_size = 5});
  EXPECT_EQ(data.count, 2000);
  EXPECT_EQ(data.images.size(), 2000u * 75);
  EXPECT_EQ(data.h, 5);
  EXPECT_EQ(data.c, 3);
  EXPECT_EQ(data.classes, 1000);
  for (std::int32_t label : data.labels) EXPECT_TRUE(label >= 0 && label < 1000);
  expect_contains(request_error_of([] { draw({.image_size = -1}); }), "squares of -1 pixels");
}

TEST(SyntheticImages, DependOnSeedPartAndNumberAlone) {
  const Dataset all = draw({.limit = 20, .image_size = 7}),
                few = draw({.limit = 3, .image_size = 7});
  EXPECT_EQ(few.images, std::vector<std::uint8_t>(all.images.begin(), all.images.begin() + 441));
  EXPECT_EQ(few.labels, std::vector<std::int32_t>(all.labels.begin(), all.labels.begin() + 3));
  EXPECT_NE(draw({.seed = 2, .limit = 3, .image_size = 7}).images, few.images);
  EXPECT_NE(draw({.limit = 3, .image_size = 7}, Part::test).images, few.images);
}

TEST(SyntheticImages, HaveTheMeanAndDeviationTheyClaim) {
  const Dataset data = draw({.limit = 64, .image_size = 64});
  double sum = 0, squares = 0;
  for (std::uint8_t sample : data.images) {
    sum += sample / 255.0;
    squares += sample / 255.0 * (sample / 255.0);
  }
  const double count = static_cast<double>(data.images.size()), mean = sum / count;
  EXPECT_NEAR(mean, data.mean[0], 2e-3);
  EXPECT_NEAR(squares / count - mean * mean, data.stddev[0] * data.stddev[0], 1e-3);
}

}  // namespace
}  // namespace lamina
