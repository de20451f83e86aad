// Reading ahead of the step: order, ring, restart, and what a thread cannot read.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/batch_stream.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "engine/core/error.h"
#include "kernels/context.h"
#include "tests/data/support.h"

namespace lamina {
namespace {

// Image i is 2x3x1 pixels of value i.
class Numbers : public ImageSource {
 public:
  void read(std::int64_t index, std::span<std::uint8_t> to) const override {
    if (index == bad) fail("image {} is bad; mend it.", index);
    if (slow) std::this_thread::sleep_for(std::chrono::milliseconds(1 + index % 3));
    ++reads;
    std::fill(to.begin(), to.end(), static_cast<std::uint8_t>(index));
  }
  std::int64_t bad = -1;
  bool slow = false;
  mutable std::atomic<std::int64_t> reads = 0;
};

class BatchStreamTest : public testing::TestWithParam<int> {
 protected:
  BatchStreamTest() {
    data_.name = "numbers";
    data_.count = 100;
    data_.h = 2;
    data_.w = 3;
    data_.c = 1;
    data_.classes = 100;
    data_.source = source_;
    for (int i = 0; i < 100; ++i) data_.labels.push_back(100 - i);
  }

  // What prepare() would gather for the samples [begin, end) of the order.
  void expect_staged(const BatchStream& stream,
                     std::int64_t begin,
                     std::int64_t end,
                     const std::vector<std::int32_t>& order) {
    const auto* const places = stream.order().as<std::int32_t>();
    for (std::int64_t p = begin; p < end; ++p) {
      const std::int64_t place = places[p];
      ASSERT_LT(place, stream.images().shape.n);
      const int wanted = order[static_cast<std::size_t>(p)];
      for (int i = 0; i < 6; ++i)
        ASSERT_EQ(stream.images().as<std::uint8_t>()[place * 6 + i], wanted) << p;
      ASSERT_EQ(stream.labels().as<std::int32_t>()[place], 100 - wanted) << p;
    }
  }

  std::shared_ptr<Numbers> source_ = std::make_shared<Numbers>();
  Dataset data_;
  Context ctx_ = make_context({.backend = BackendKind::ref, .threads = GetParam()});
};

std::vector<std::int32_t> scattered(std::int64_t count, int factor) {
  std::vector<std::int32_t> order;
  for (std::int64_t i = 0; i < count; ++i)
    order.push_back(static_cast<std::int32_t>((i * factor + 3) % 100));
  return order;
}

TEST_P(BatchStreamTest, StagesTheSamplesOfTheOrder) {
  // Rooms that divide the count and that do not, one of all samples, and the walk's last batch.
  for (std::int64_t room : {1, 7, 10, 53, 100, 300}) {
    BatchStream stream(ctx_, data_, 53, room);
    for (int epoch = 0; epoch < 3; ++epoch) {
      const auto order = scattered(53, 7 + 2 * epoch);
      stream.set_order(order);
      for (std::int64_t p = 0; p < 53; p += room) {
        const std::int64_t end = std::min<std::int64_t>(p + room, 53);
        stream.stage(p, end);
        expect_staged(stream, p, end, order);
        stream.stage(p, end);  // nothing to do
        stream.stage((p + end) / 2, end);
        expect_staged(stream, p, end, order);
      }
    }
  }
}

TEST_P(BatchStreamTest, BatchesOfOneStageStayTogether) {
  BatchStream stream(ctx_, data_, 40, 12);
  const auto order = scattered(40, 11);
  stream.set_order(order);
  stream.stage(0, 12);
  const std::int64_t reads = source_->reads;
  for (std::int64_t p = 0; p < 12; p += 4) stream.stage(p, p + 4);
  EXPECT_LE(source_->reads, 12 + 24) << "read again";
  EXPECT_GE(reads, 12);
  expect_staged(stream, 0, 12, order);
}

TEST_P(BatchStreamTest, ReadsAheadButNotFarther) {
  BatchStream stream(ctx_, data_, 100, 10);
  stream.set_order(scattered(100, 1));
  stream.stage(0, 10);
  const auto soon = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (source_->reads < 30 && std::chrono::steady_clock::now() < soon)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(source_->reads, 30) << "10 that are staged, 20 ahead of them";
  stream.stage(10, 20);
  EXPECT_GE(stream.waited(), 0);
  EXPECT_LT(stream.waited(), 0.5) << "they were there";
}

TEST_P(BatchStreamTest, StartsAnywhere) {
  BatchStream stream(ctx_, data_, 100, 8);
  const auto order = scattered(100, 13);
  stream.set_order(order);
  for (std::int64_t begin : {0, 40, 92, 8, 16}) {
    stream.stage(begin, begin + 8);
    expect_staged(stream, begin, begin + 8, order);
  }
  // Where the last one ended: what was read ahead is of the old order.
  stream.set_order(scattered(100, 17));
  stream.stage(24, 32);
  expect_staged(stream, 24, 32, scattered(100, 17));
}

TEST_P(BatchStreamTest, CountsTheTimeOfWaiting) {
  source_->slow = true;
  BatchStream stream(ctx_, data_, 100, 20);
  stream.set_order(scattered(100, 1));
  stream.stage(0, 20);
  // 40 ms of sleep in all, shared by the threads.
  EXPECT_GE(stream.waited(), 0.02 / GetParam());
}

TEST_P(BatchStreamTest, TellsWhatCannotBeRead) {
  source_->bad = 37;
  BatchStream stream(ctx_, data_, 100, 10);
  stream.set_order(scattered(100, 1));  // 37 is sample 34 of the order
  const std::string text = failure_of([&] {
    for (std::int64_t p = 0; p < 100; p += 10) {
      ASSERT_LT(p, 40);
      stream.stage(p, p + 10);
    }
  });
  EXPECT_EQ(text, "image 37 is bad; mend it.");
  source_->bad = -1;
  stream.stage(30, 40);
  expect_staged(stream, 30, 40, scattered(100, 1));
}

TEST_P(BatchStreamTest, RefusesWhatItHasNoRoomFor) {
  BatchStream stream(ctx_, data_, 100, 10);
  EXPECT_THROW(stream.stage(0, 10), Error) << "no order yet";
  EXPECT_THROW(stream.set_order(scattered(99, 1)), Error);
  stream.set_order(scattered(100, 1));
  EXPECT_THROW(stream.stage(0, 11), Error);
  EXPECT_THROW(stream.stage(95, 101), Error);
  EXPECT_THROW(stream.stage(5, 5), Error);
}

INSTANTIATE_TEST_SUITE_P(Threads, BatchStreamTest, testing::Values(1, 2, 5));

}  // namespace
}  // namespace lamina
