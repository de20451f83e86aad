// Splits and orders: the right sizes, all samples once, the same by seed, and no bias.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "engine/data/philox_sequence.h"
#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

std::vector<std::int32_t> numbers(std::int32_t count) {
  std::vector<std::int32_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// Pearson's statistic of counts that should be equal.
template <class Counts>
double chi_square(const Counts& counts, double expected) {
  double sum = 0;
  for (double count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

TEST(ShuffledOrder, HoldsEveryItemOnce) {
  const std::vector<std::int32_t> items = {7, 7, -3, 100, 42, 0};
  for (std::uint32_t epoch = 0; epoch < 20; ++epoch) {
    const auto order = shuffled_order(1, stream::kTest, epoch, items);
    EXPECT_TRUE(std::is_permutation(order.begin(), order.end(), items.begin(), items.end()));
  }
  EXPECT_TRUE(shuffled_order(1, stream::kTest, 0, {}).empty());
  EXPECT_EQ(shuffled_order(1, stream::kTest, 0, numbers(1)), numbers(1));
}

TEST(ShuffledOrder, DependsOnSeedStreamAndEpochAlone) {
  const auto items = numbers(1000);
  const auto order = shuffled_order(5, stream::kShuffle, 3, items);
  EXPECT_EQ(order, shuffled_order(5, stream::kShuffle, 3, items));
  EXPECT_NE(order, shuffled_order(6, stream::kShuffle, 3, items));
  EXPECT_NE(order, shuffled_order(5 + (std::uint64_t{1} << 32), stream::kShuffle, 3, items));
  EXPECT_NE(order, shuffled_order(5, stream::kSplit, 3, items));
  EXPECT_NE(order, shuffled_order(5, stream::kShuffle, 4, items));
}

// Runs are resumed by drawing their orders again, so a change here breaks every checkpoint.
TEST(ShuffledOrder, StaysTheSameFromVersionToVersion) {
  EXPECT_EQ(shuffled_order(1, stream::kShuffle, 0, numbers(10)),
            (std::vector<std::int32_t>{5, 8, 0, 2, 1, 7, 9, 3, 4, 6}));
}

TEST(ShuffledOrder, EveryOrderIsEquallyLikely) {
  constexpr int kOrders = 24, kEach = 1000;
  std::map<std::vector<std::int32_t>, double> counts;
  for (std::uint32_t epoch = 0; epoch < kOrders * kEach; ++epoch)
    ++counts[shuffled_order(9, stream::kTest, epoch, numbers(4))];
  ASSERT_EQ(counts.size(), kOrders);
  std::vector<double> seen;
  for (const auto& [order, count] : counts) seen.push_back(count);
  // 23 degrees of freedom: 49.7 is exceeded once in a thousand.
  EXPECT_LT(chi_square(seen, kEach), 49.7);
}

TEST(ShuffledOrder, EveryItemComesFirstEquallyOften) {
  constexpr int kItems = 100, kEach = 200;
  const auto items = numbers(kItems);
  std::vector<double> first(kItems), last(kItems);
  for (std::uint32_t epoch = 0; epoch < kItems * kEach; ++epoch) {
    const auto order = shuffled_order(2, stream::kTest, epoch, items);
    ++first[static_cast<std::size_t>(order.front())];
    ++last[static_cast<std::size_t>(order.back())];
  }
  // 99 degrees of freedom: 148.2 is exceeded once in a thousand.
  EXPECT_LT(chi_square(first, kEach), 148.2);
  EXPECT_LT(chi_square(last, kEach), 148.2);
}

// With a bound of 3/4 of the range, scaling alone would make one value in three twice as likely.
TEST(PhiloxSequence, BoundedNumbersHaveNoBias) {
  PhiloxSequence random(1, stream::kTest, 0);
  constexpr std::uint32_t kBound = 3u << 30;
  std::vector<double> counts(3);
  for (int i = 0; i < 30000; ++i) {
    const std::uint32_t value = random.below(kBound);
    ASSERT_LT(value, kBound);
    ++counts[value % 3];
  }
  // 2 degrees of freedom: 13.8 is exceeded once in a thousand.
  EXPECT_LT(chi_square(counts, 10000), 13.8);
}

TEST(SplitTrainVal, HasTheSizesOfRandomSplit) {
  struct Case {
    std::int64_t count;
    double fraction;
    std::int64_t train;
  };
  // train = int((1 - f) * count), as Python computes it.
  for (const auto& [count, fraction, train] : {Case{60000, 0.2, 48000},
                                               Case{60000, 0.0, 60000},
                                               Case{10, 0.25, 7},
                                               Case{7, 0.5, 3},
                                               Case{1, 0.0, 1},
                                               Case{60000, 0.9999, 5}}) {
    const Split split = split_train_val(count, fraction, 1);
    EXPECT_EQ(std::ssize(split.train), train) << count << " " << fraction;
    EXPECT_EQ(std::ssize(split.val), count - train) << count << " " << fraction;
    std::vector<std::int32_t> all = split.train;
    all.insert(all.end(), split.val.begin(), split.val.end());
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, numbers(static_cast<std::int32_t>(count)));
  }
}

TEST(SplitTrainVal, IsRandomAndDependsOnTheSeedAlone) {
  const Split split = split_train_val(10000, 0.2, 1), same = split_train_val(10000, 0.2, 1);
  EXPECT_EQ(split.train, same.train);
  EXPECT_EQ(split.val, same.val);
  EXPECT_NE(split.val, split_train_val(10000, 0.2, 2).val);
  // The mean of 2000 of 10000 numbers: standard error about 58.
  const double mean = std::accumulate(split.val.begin(), split.val.end(), 0.0) / 2000;
  EXPECT_NEAR(mean, 4999.5, 4 * 58);
}

TEST(SplitTrainVal, RefusesWhatLeavesNothing) {
  for (double fraction : {-0.1, 1.0, 1.5, std::nan("")})
    expect_contains(request_error_of([&] { split_train_val(100, fraction, 1); }),
                    "choose it from 0 up to, but not, 1");
  expect_contains(request_error_of([&] { split_train_val(2, 0.9, 1); }), "choose a smaller one");
  expect_contains(request_error_of([&] { split_train_val(0, 0.2, 1); }), "0 samples");
  expect_contains(request_error_of([&] { split_train_val(std::int64_t{1} << 31, 0.2, 1); }),
                  "cannot be split");
}

}  // namespace
}  // namespace lamina
