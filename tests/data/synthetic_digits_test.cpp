// Synthetic digits: the same bytes everywhere, balanced, and different where they should be.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/synthetic_digits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <vector>

#include "engine/data/registry.h"
#include "engine/data/sha256.h"
#include "engine/data/verify.h"

namespace lamina {
namespace {

constexpr std::size_t kPixels = 28 * 28;

TEST(SyntheticDigits, HaveTheShapeTheyPromise) {
  const Dataset train = load_dataset("synthetic-digits", Part::train);
  const Dataset test = load_dataset("synthetic-digits", Part::test);
  EXPECT_EQ(train.count, 10000);
  EXPECT_EQ(test.count, 2000);
  EXPECT_EQ(train.h, 28);
  EXPECT_EQ(train.w, 28);
  EXPECT_EQ(train.c, 1);
  EXPECT_EQ(train.classes, 10);
  EXPECT_EQ(train.images.size(), 10000 * kPixels);
  EXPECT_EQ(train.labels.size(), 10000u);
  EXPECT_EQ(train.class_names.size(), 10u);
  EXPECT_EQ(train.origin, "generated, seed 1");
  EXPECT_EQ(label_histogram(train), std::vector<std::int64_t>(10, 1000));
  EXPECT_EQ(label_histogram(test), std::vector<std::int64_t>(10, 200));

  // The constants of the registry were measured on this part.
  double sum = 0, squares = 0;
  for (std::uint8_t pixel : train.images) {
    const double value = pixel / 255.0;
    sum += value;
    squares += value * value;
  }
  const double count = static_cast<double>(train.images.size()), mean = sum / count;
  EXPECT_NEAR(mean, train.mean.at(0), 5e-5);
  EXPECT_NEAR(std::sqrt(squares / count - mean * mean), train.stddev.at(0), 5e-5);
}

// On every machine and with every compiler: a run on them can be repeated anywhere.
TEST(SyntheticDigits, AreTheSameBytesEverywhere) {
  EXPECT_EQ(sha256_of(make_synthetic_digits(Part::train, 1, 500).images),
            "702855fc57c8b8d9358a398561ab8db906038c78f5e088ee9d4a1f7d58c732d2");
  EXPECT_EQ(sha256_of(make_synthetic_digits(Part::test, 2, 500).images),
            "432118e07eff1007a2c7b71b6770f9bcf1d24b9b68a8a4a6fc11125dc1ca6549");
}

TEST(SyntheticDigits, DependOnSeedAndPartAndSample) {
  const Dataset a = make_synthetic_digits(Part::train, 1, 100);
  EXPECT_EQ(a.images, make_synthetic_digits(Part::train, 1, 100).images);
  EXPECT_NE(a.images, make_synthetic_digits(Part::train, 2, 100).images);
  EXPECT_NE(a.labels, make_synthetic_digits(Part::train, 2, 100).labels);
  EXPECT_NE(a.images, make_synthetic_digits(Part::test, 1, 100).images);
  EXPECT_NE(a.labels, make_synthetic_digits(Part::test, 1, 100).labels);
  std::set<std::vector<std::uint8_t>> different;
  for (std::size_t i = 0; i < 100; ++i)
    different.emplace(a.images.begin() + static_cast<std::ptrdiff_t>(i * kPixels),
                      a.images.begin() + static_cast<std::ptrdiff_t>((i + 1) * kPixels));
  EXPECT_EQ(different.size(), 100u);
}

TEST(SyntheticDigits, ALimitKeepsTheFirst) {
  const Dataset all = make_synthetic_digits(Part::test, 3);
  for (std::int64_t limit : {1, 7, 25}) {
    const Dataset few = load_dataset("synthetic-digits", Part::test, {"", 3, limit});
    ASSERT_EQ(few.count, limit);
    EXPECT_TRUE(std::equal(few.images.begin(), few.images.end(), all.images.begin()));
    EXPECT_TRUE(std::equal(few.labels.begin(), few.labels.end(), all.labels.begin()));
  }
  EXPECT_EQ(make_synthetic_digits(Part::test, 3, 1'000'000).count, 2000);
}

// Are the digits where their labels say? The mean image of each class, as a classifier, is far
// better than chance (10 %), and far from perfect, or the set would be no exercise.
TEST(SyntheticDigits, ShowTheirLabels) {
  const Dataset train = make_synthetic_digits(Part::train, 1, 3000);
  const Dataset test = make_synthetic_digits(Part::test, 1, 1000);
  std::array<std::array<double, kPixels>, 10> means{};
  for (std::size_t i = 0; i < 3000; ++i) {
    for (std::size_t p = 0; p < kPixels; ++p)
      means[static_cast<std::size_t>(train.labels[i])][p] += train.images[i * kPixels + p] / 300.0;
  }
  int right = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    std::array<double, 10> distance{};
    for (std::size_t k = 0; k < 10; ++k) {
      for (std::size_t p = 0; p < kPixels; ++p) {
        const double d = means[k][p] - test.images[i * kPixels + p];
        distance[k] += d * d;
      }
    }
    const auto nearest = std::min_element(distance.begin(), distance.end()) - distance.begin();
    right += nearest == test.labels[i] ? 1 : 0;
  }
  EXPECT_GT(right, 550);
  EXPECT_LT(right, 900);
}

}  // namespace
}  // namespace lamina
