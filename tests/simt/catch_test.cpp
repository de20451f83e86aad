// Wrong kernels: each kind has to be caught, or the silence of the right ones proves nothing.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdlib>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernels/backends.h"
#include "tests/simt/kernel_run.h"
#include "tests/simt/sanitizers.h"

namespace lamina::cuda {
namespace {

using simt::KernelRun, simt::in_every_order;

class SimtDeathTest : public testing::Test {
 protected:
  SimtDeathTest() { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

template <class... Args>
void run_one_block(Args... args) {
  KernelRun run;
  launch(run.ctx, "toy", Grid{1}, kBlock, args...);
}

LAMINA_KERNEL write_one_too_far(float* y, std::int64_t count) {
  for (std::int64_t i = first_thread(); i <= count; i += all_threads()) y[i] = 1.0f;
}

TEST_F(SimtDeathTest, AWriteBehindAnArray) {
  if (!simt::has_asan()) GTEST_SKIP() << "SKIP: built without AddressSanitizer";
  KernelRun run;
  auto* const y = run.array<float>(1001);
  launch(run.ctx, "toy", Grid{2}, kBlock, write_one_too_far, y, std::int64_t{1000});
  EXPECT_DEATH(
      launch(run.ctx, "toy", Grid{2}, kBlock, write_one_too_far, y, std::int64_t{1001}),
      "heap-buffer-overflow(.|\n)*write_one_too_far(.|\n)*kernel toy, block .1, 0, 0., thread 233");
}

// The index is kept from the compiler's own check of bounds.
LAMINA_KERNEL write_shared(const int* at, float* y) {
  LAMINA_SHARED(float, before, [4]);
  LAMINA_SHARED(float, tile, [kBlock]);
  float* const elements = tile;
  if (threadIdx.x == 0) before[0] = 2.0f;
  elements[static_cast<int>(threadIdx.x) + *at] = 1.0f;
  barrier();
  y[threadIdx.x] = tile[0] + before[0];
}

TEST_F(SimtDeathTest, AWriteAroundSharedMemory) {
  if (!simt::has_asan()) GTEST_SKIP() << "SKIP: built without AddressSanitizer";
  KernelRun run;
  auto* const y = run.array<float>(kBlock);
  auto* const at = run.array<int>(1, 0);
  const auto go = [&] { launch(run.ctx, "toy", Grid{1}, kBlock, write_shared, at, y); };
  go();
  *at = 1;
  EXPECT_DEATH(go(), "use-after-poison(.|\n)*write_shared(.|\n)*thread 255");
  *at = -1;
  EXPECT_DEATH(go(), "use-after-poison(.|\n)*write_shared(.|\n)*thread 0");
}

LAMINA_KERNEL too_much_shared() {
  LAMINA_SHARED(float, half, [6000]);
  LAMINA_SHARED(float, other_half, [6300]);
  half[threadIdx.x] = other_half[threadIdx.x] = 0.0f;
}

TEST_F(SimtDeathTest, MoreSharedMemoryThanThereIs) {
  EXPECT_DEATH(run_one_block(too_much_shared), "more than 48 KB of shared memory");
}

LAMINA_KERNEL half_waits() {
  if (threadIdx.x < 128) barrier();
}
LAMINA_KERNEL wait_apart() {
  if (threadIdx.x % 2 == 0)
    barrier();
  else
    barrier();
}
LAMINA_KERNEL lane_stays_away() {
  if (threadIdx.x != 40) shuffle_xor(1, 1);
}
LAMINA_KERNEL shuffle_apart() { shuffle_xor(1, threadIdx.x == 40 ? 2 : 1); }
LAMINA_KERNEL shuffle_too_far() { shuffle_xor(1, 32); }

TEST_F(SimtDeathTest, ThreadsThatWaitForDifferentThings) {
  EXPECT_DEATH(run_one_block(half_waits),
               "kernel toy, block .0, 0, 0.: the threads wait for different things(.|\n)*"
               "threads 0 to 127 are at .*catch_test.cpp:[0-9]+, in barrier(.|\n)*"
               "threads 128 to 255 have left the kernel");
  EXPECT_DEATH(run_one_block(wait_apart), "threads 0 to 0 are at(.|\n)*threads 1 to 1 are at");
  EXPECT_DEATH(run_one_block(lane_stays_away), "threads 40 to 40 have left the kernel");
  EXPECT_DEATH(run_one_block(shuffle_apart), "threads 40 to 40 are at .*shuffle_xor.. with mask 2");
  EXPECT_DEATH(run_one_block(shuffle_too_far), "mask that is not within 1 to 31");
}

TEST_F(SimtDeathTest, AShuffleInHalfAWarp) {
  KernelRun run;
  EXPECT_DEATH(launch(run.ctx, "toy", Grid{1}, 48, shuffle_apart), "threads 41 to 47 are at");
}

// The last barrier keeps the next round's writes from this round's readers.
template <bool complete>
LAMINA_KERNEL pass_along(const float* x, float* y, int rounds) {
  LAMINA_SHARED(float, tile, [kBlock]);
  const unsigned i = threadIdx.x;
  float value = x[i];
  for (int round = 0; round < rounds; ++round) {
    tile[i] = value;
    barrier();
    value = tile[(i + 1) % blockDim.x];
    if (complete) barrier();
  }
  y[i] = value;
}
template <bool complete>
LAMINA_KERNEL read_neighbour(const float* x, float* y) {
  LAMINA_SHARED(float, tile, [kBlock]);
  tile[threadIdx.x] = x[threadIdx.x];
  if (complete) barrier();
  y[threadIdx.x] = tile[threadIdx.x ^ 1];
}

// The different results of the orders, as bits: NaN is no number but it is a result.
template <class Launch>
std::size_t results_of(Launch&& go) {
  std::set<std::vector<std::uint32_t>> results;
  in_every_order([&] {
    KernelRun run;
    auto* const x = run.array<float>(kBlock);
    auto* const y = run.array<float>(kBlock);
    for (int i = 0; i < kBlock; ++i) x[i] = static_cast<float>(i);
    go(run, x, y);
    const auto* const bits = reinterpret_cast<const std::uint32_t*>(y);
    results.insert({bits, bits + kBlock});
  });
  return results.size();
}

template <bool complete>
void launch_read_neighbour(KernelRun& run, const float* x, float* y) {
  launch(run.ctx, "toy", Grid{1}, kBlock, read_neighbour<complete>, x, y);
}
template <bool complete>
void launch_pass_along(KernelRun& run, const float* x, float* y) {
  launch(run.ctx, "toy", Grid{1}, kBlock, pass_along<complete>, x, y, 3);
}

// Blocks that write the same element: the last one wins, whoever that is.
template <bool apart>
LAMINA_KERNEL claim(const float*, float* y) {
  if (threadIdx.x == blockIdx.x)  // different threads, or TSan takes them for one
    y[apart ? blockIdx.x : 0] = static_cast<float>(blockIdx.x);
}
template <bool apart>
void launch_claim(KernelRun& run, const float* x, float* y) {
  launch(run.ctx, "toy", Grid{4}, kBlock, claim<apart>, x, y);
}

TEST(SimtCatches, AMissingBarrierByTheOrderOfTheThreads) {
  if (simt::has_tsan()) GTEST_SKIP() << "SKIP: ThreadSanitizer would report the planted races";
  EXPECT_EQ(results_of(launch_read_neighbour<true>), 1u);
  EXPECT_GT(results_of(launch_read_neighbour<false>), 1u);
  EXPECT_EQ(results_of(launch_pass_along<true>), 1u);
  EXPECT_GT(results_of(launch_pass_along<false>), 1u);
  EXPECT_EQ(results_of(launch_claim<true>), 1u);
  EXPECT_GT(results_of(launch_claim<false>), 1u);
}

// A process that met a race leaves with another code than the one it chose.
template <class Launch>
void expect_race(Launch&& go, const char* where) {
  EXPECT_EXIT(
      {
        results_of(go);
        std::exit(0);
      },
      testing::ExitedWithCode(66),
      std::string("data race(.|\n)*") + where);
}

TEST_F(SimtDeathTest, AMissingBarrierByThreadSanitizer) {
  if (!simt::has_tsan()) GTEST_SKIP() << "SKIP: built without ThreadSanitizer";
  expect_race(launch_read_neighbour<false>, "read_neighbour");
  expect_race(launch_pass_along<false>, "pass_along");
  expect_race(launch_claim<false>, "claim");
  for (const auto go : {launch_read_neighbour<true>, launch_pass_along<true>, launch_claim<true>})
    EXPECT_EXIT(
        {
          results_of(go);
          std::exit(0);
        },
        testing::ExitedWithCode(0),
        "");
}

LAMINA_KERNEL double_all(const float* x, float* y, std::int64_t count) {
  for (std::int64_t i = first_thread(); i < count; i += all_threads()) y[i] = 2.0f * x[i];
}

// What the harness says of y = 2x when the kernel does `count` of 1000 elements.
std::string failures_of_doubling(std::int64_t count) {
  const Shape shape = features(1, 1000);
  suite::Problem problem{.name = "simt/doubling"};
  problem.slots = {suite::in("x", shape, suite::Draw("simt").normal(shape)),
                   suite::out("y", shape, {1})};
  problem.body = [count](suite::Call& call) {
    if (call.ctx().backend() == BackendKind::cuda) {
      launch(call.ctx(),
             "double_all",
             blocks_for(count),
             kBlock,
             double_all,
             call["x"].as<float>(),
             call["y"].as<float>(),
             count);
      return;
    }
    for (int i = 0; i < 1000; ++i) call["y"].as<double>()[i] = 2.0 * call["x"].as<double>()[i];
  };
  std::string all;
  suite::Table table({.backend = BackendKind::cuda, .report = [&](const suite::CaseReport& report) {
                        for (const std::string& failure : report.failures) all += failure;
                      }});
  table.check(problem);
  return all;
}

TEST(SimtCatches, AnElementNeverWritten) {
  EXPECT_EQ(failures_of_doubling(1000), "");
  EXPECT_NE(failures_of_doubling(999).find("[n=0 h=0 w=0 c=999] is nan"), std::string::npos);
}

LAMINA_KERNEL read_unwritten(float* y) {
  LAMINA_SHARED(float, sum, [2]);
  if (threadIdx.x == 0) sum[0] = 1.0f;
  barrier();
  y[threadIdx.x] = sum[0] + sum[1];
}

TEST(SimtCatches, SharedMemoryReadBeforeItWasWritten) {
  KernelRun run;
  auto* const y = run.array<float>(kBlock);
  launch(run.ctx, "toy", Grid{1}, kBlock, read_unwritten, y);
  for (int i = 0; i < kBlock; ++i) EXPECT_TRUE(std::isnan(y[i]));
}

}  // namespace
}  // namespace lamina::cuda
