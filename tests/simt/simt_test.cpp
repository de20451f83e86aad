// The words of the kernels, as tests/simt reads them: each has to mean what it means in CUDA.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <gtest/gtest.h>

#include "kernels/conv2d.h"
#include "kernels/linear.h"
#include "tests/simt/kernel_run.h"

namespace lamina::cuda {
namespace {

using simt::KernelRun, simt::in_every_order;

LAMINA_KERNEL record_place(std::int32_t* visits, Grid* places) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  add_atomic(&visits[block * blockDim.x + threadIdx.x], 1);
  if (threadIdx.x == blockDim.x - 1) places[block] = {blockIdx.x, blockIdx.y, blockIdx.z};
}

TEST(Simt, EveryThreadOfAGridRunsOnce) {
  for (const Grid grid : {Grid{1}, Grid{7}, Grid{3, 4}, Grid{2, 3, 5}, Grid{1, 1, 6}})
    for (const int block : {1, 31, 256})
      in_every_order([&] {
        KernelRun run;
        const unsigned blocks = grid.x * grid.y * grid.z;
        auto* const visits = run.array<std::int32_t>(blocks * static_cast<unsigned>(block), 0);
        auto* const places = run.array<Grid>(blocks);
        launch(run.ctx, "record_place", grid, block, record_place, visits, places);
        for (unsigned i = 0; i < blocks * static_cast<unsigned>(block); ++i)
          ASSERT_EQ(visits[i], 1) << i;
        for (unsigned b = 0; b < blocks; ++b) {
          ASSERT_EQ(places[b].x, b % grid.x);
          ASSERT_EQ(places[b].y, b / grid.x % grid.y);
          ASSERT_EQ(places[b].z, b / grid.x / grid.y);
        }
      });
}

template <class T>
LAMINA_KERNEL scale(const T* x, T* y, std::int64_t count, float factor) {
  for (std::int64_t i = first_thread(); i < count; i += all_threads())
    y[i] = from_f32<T>(factor * as_f32(x[i]));
}

template <class T>
void expect_scaled() {
  constexpr std::int64_t kCount = 5000;
  KernelRun run;
  auto* const x = run.array<T>(kCount);
  auto* const y = run.array<T>(kCount);
  for (std::int64_t i = 0; i < kCount; ++i) x[i] = from_f32<T>(static_cast<float>(i % 200 - 100));
  launch(run.ctx, "scale", Grid{3}, kBlock, scale<T>, x, y, kCount, 0.5);  // a double, converted
  for (std::int64_t i = 0; i < kCount; ++i)
    ASSERT_EQ(as_f32(y[i]), static_cast<float>(i % 200 - 100) / 2) << i;
}

TEST(Simt, ThreadsStrideOverWhatTheGridDoesNotCover) { in_every_order(expect_scaled<float>); }
TEST(Simt, NumbersAreKeptInSixteenBits) {
  expect_scaled<bf16>();
  expect_scaled<f16>();
}

// Every block turns its part of x round, through a tile with a column to spare.
template <class T>
LAMINA_KERNEL turn_round(const T* x, T* y, int* first_seen) {
  LAMINA_SHARED(T, tile, [8][33]);
  LAMINA_SHARED(int, fresh);
  const auto i = static_cast<int>(threadIdx.x), last = static_cast<int>(blockDim.x) - 1;
  if (i == 0) first_seen[blockIdx.x] = fresh;
  const T* const from = x + static_cast<std::int64_t>(blockIdx.x) * blockDim.x;
  tile[i / 32][i % 32] = from[i];
  if (i == 0) fresh = 1;
  barrier();
  y[static_cast<std::int64_t>(blockIdx.x) * blockDim.x + i] =
      tile[(last - i) / 32][(last - i) % 32];
}

template <class T>
void expect_turned_round() {
  constexpr int kBlocks = 5;
  KernelRun run;
  auto* const x = run.array<T>(kBlocks * kBlock);
  auto* const y = run.array<T>(kBlocks * kBlock);
  auto* const first_seen = run.array<int>(kBlocks);
  std::iota(x, x + kBlocks * kBlock, T{});
  launch(run.ctx, "turn_round", Grid{kBlocks}, kBlock, turn_round<T>, x, y, first_seen);
  for (int b = 0; b < kBlocks; ++b) {
    std::reverse(x + b * kBlock, x + (b + 1) * kBlock);
    EXPECT_EQ(first_seen[b], -1) << "block " << b << " found what another left";
  }
  EXPECT_TRUE(std::equal(x, x + kBlocks * kBlock, y));
}

TEST(Simt, SharedMemoryBelongsToABlock) {
  in_every_order(expect_turned_round<float>);
  in_every_order(expect_turned_round<double>);
}

struct Triple {
  float a, b;
  int c;
};

// Warps shuffle different numbers of times: each waits for its own lanes only.
LAMINA_KERNEL shuffle_all(
    std::int32_t* narrow, std::int64_t* wide, double* real, Triple* triples, int mask) {
  const auto i = static_cast<int>(threadIdx.x), warp = i / kWarp;
  for (int times = 0; times <= 2 * warp; ++times) {
    narrow[i] = shuffle_xor(times == 0 ? i : narrow[i], mask);
    wide[i] = shuffle_xor(times == 0 ? (std::int64_t{i} << 40) : wide[i], mask);
    real[i] = shuffle_xor(times == 0 ? i + 0.25 : real[i], mask);
    triples[i] = shuffle_xor(
        times == 0 ? Triple{static_cast<float>(i), -static_cast<float>(i), i} : triples[i], mask);
  }
}

TEST(Simt, ShuffleGivesTheValueOfTheOtherLane) {
  for (const int mask : {1, 2, 4, 8, 16, 5, 31})
    in_every_order([&] {
      KernelRun run;
      auto* const narrow = run.array<std::int32_t>(kBlock);
      auto* const wide = run.array<std::int64_t>(kBlock);
      auto* const real = run.array<double>(kBlock);
      auto* const triples = run.array<Triple>(kBlock);
      launch(
          run.ctx, "shuffle_all", Grid{1}, kBlock, shuffle_all, narrow, wide, real, triples, mask);
      for (int i = 0; i < kBlock; ++i) {
        const int other = i ^ mask;
        ASSERT_EQ(narrow[i], other);
        ASSERT_EQ(wide[i], std::int64_t{other} << 40);
        ASSERT_EQ(real[i], other + 0.25);
        ASSERT_EQ(triples[i].a, static_cast<float>(other));
        ASSERT_EQ(triples[i].b, -static_cast<float>(other));
        ASSERT_EQ(triples[i].c, other);
      }
    });
}

LAMINA_KERNEL add_up(const double* x, double* sums, double* again) {
  LAMINA_SHARED(double, scratch, [kWarp]);
  const std::int64_t i = first_thread();
  const double sum = block_sum(x[i], scratch);
  const double twice = block_sum(2 * x[i], scratch);
  sums[i] = sum;
  again[i] = twice;
}

TEST(Simt, BlockSumReachesEveryThread) {
  for (const int block : {32, 96, 256})
    in_every_order([&] {
      const int count = 3 * block;
      KernelRun run;
      auto* const x = run.array<double>(count);
      auto* const sums = run.array<double>(count);
      auto* const again = run.array<double>(count);
      for (int i = 0; i < count; ++i) x[i] = i * i % 37;
      launch(run.ctx, "add_up", Grid{3}, block, add_up, x, sums, again);
      for (int i = 0; i < count; ++i) {
        const double* const begin = x + i / block * block;
        const double want = std::accumulate(begin, begin + block, 0.0);
        ASSERT_EQ(sums[i], want) << i;
        ASSERT_EQ(again[i], 2 * want) << i;
      }
    });
}

LAMINA_KERNEL count_residues(std::int64_t* large, std::int32_t* small, std::int64_t* smallest) {
  const auto i = first_thread();
  add_atomic(&large[i % 7], std::int64_t{1} << 33);
  add_atomic(&small[i % 7], -1);
  min_atomic(smallest, (i - 500) * (i - 500) - 7);
}

TEST(Simt, AtomicsLoseNothing) {
  in_every_order([] {
    KernelRun run;
    auto* const large = run.array<std::int64_t>(7, 0);
    auto* const small = run.array<std::int32_t>(7, 0);
    auto* const smallest = run.array<std::int64_t>(1, 1000);
    launch(run.ctx, "count", Grid{4}, kBlock, count_residues, large, small, smallest);
    for (int r = 0; r < 7; ++r) {
      const int want = 1024 / 7 + (r < 1024 % 7 ? 1 : 0);
      EXPECT_EQ(large[r], std::int64_t{want} << 33);
      EXPECT_EQ(small[r], -want);
    }
    EXPECT_EQ(smallest[0], -7);
  });
}

LAMINA_KERNEL add_up_blocks(const std::int64_t* x,
                            std::int64_t* partial,
                            std::int64_t* sum,
                            std::int64_t* finished,
                            std::uint32_t* ticket) {
  LAMINA_SHARED(std::int64_t, scratch, [kWarp]);
  const std::int64_t part = block_sum(x[first_thread()], scratch);
  if (threadIdx.x == 0) partial[blockIdx.x] = part;
  if (!last_block(ticket, gridDim.x)) return;
  // Another thread reads them than the one that wrote them.
  const std::int64_t found = threadIdx.x < gridDim.x ? partial[threadIdx.x] : 0;
  const std::int64_t total = block_sum(found, scratch);
  if (threadIdx.x == 0) *sum = total;
  add_atomic(finished, std::int64_t{1});
}

TEST(Simt, TheLastBlockSeesWhatTheOthersWrote) {
  for (const unsigned blocks : {1U, 2U, 7U})
    in_every_order([&] {
      KernelRun run;
      const std::size_t count = std::size_t{blocks} * kBlock;
      auto* const x = run.array<std::int64_t>(count);
      std::iota(x, x + count, 0);
      auto* const finished = run.array<std::int64_t>(1, 0);
      for (int times = 1; times <= 3; ++times) {  // the ticket is as it was
        auto* const partial = run.array<std::int64_t>(blocks);
        auto* const sum = run.array<std::int64_t>(1);
        launch(run.ctx,
               "add_up_blocks",
               Grid{blocks},
               kBlock,
               add_up_blocks,
               x,
               partial,
               sum,
               finished,
               tickets_of(run.ctx));
        EXPECT_EQ(*sum, static_cast<std::int64_t>(count * (count - 1) / 2));
        EXPECT_EQ(*finished, times * kBlock) << "more blocks than one took themselves for the last";
        EXPECT_EQ(*tickets_of(run.ctx), 0U);
      }
    });
}

TEST(Simt, AGridThatCudaRefusesThrows) {
  KernelRun run;
  auto* const x = run.array<float>(1);
  for (const Grid grid : {Grid{0}, Grid{1, 65536}, Grid{1, 1, 65536}})
    EXPECT_THROW(launch(run.ctx, "scale", grid, kBlock, scale<float>, x, x, std::int64_t{1}, 1.0f),
                 Error);
  EXPECT_THROW(launch(run.ctx, "scale", Grid{1}, 257, scale<float>, x, x, std::int64_t{1}, 1.0f),
               Error);
}

TEST(Simt, RecordedLaunchesRunWhenReplayed) {
  KernelRun run;
  simt::SimtDevice& device = simt::device_of(run.ctx);
  auto* const x = run.array<float>(2, 1.0f);
  float factor = 3.0f;
  device.begin_recording();
  launch(run.ctx, "scale", Grid{1}, 32, scale<float>, x, x, std::int64_t{2}, factor);
  run.ctx.zero(x + 1, sizeof *x);
  factor = 100.0f;
  EXPECT_EQ(x[0], 1.0f);
  EXPECT_EQ(x[1], 1.0f);
  EXPECT_THROW(run.ctx.allocate(4), Error);
  EXPECT_THROW(run.ctx.copy_in(x, &factor, 4), Error);
  EXPECT_THROW(run.ctx.copy_out(&factor, x, 4), Error);
  EXPECT_THROW(device.synchronize(), Error);
  EXPECT_THROW(device.begin_recording(), Error);
  const std::unique_ptr<Recording> step = device.end_recording();
  EXPECT_THROW(device.end_recording(), Error);
  EXPECT_EQ(x[0], 1.0f);
  step->replay();
  step->replay();
  EXPECT_EQ(x[0], 9.0f);
  EXPECT_EQ(x[1], 0.0f);
}

// 16-bit tensors reach the reference as f32 and come back rounded; small integers come back exact.
template <class T>
void expect_linear_in(DType dtype) {
  KernelRun run;
  constexpr int kRows = 2, kIn = 3, kOut = 2;
  auto* const x = run.array<T>(kRows * kIn);
  auto* const w = run.array<T>(kOut * kIn);
  auto* const b = run.array<T>(kOut);
  auto* const y = run.array<T>(kRows * kOut);
  auto* const db = run.array<T>(kOut);
  for (int i = 0; i < kRows * kIn; ++i) x[i] = from_f32<T>(static_cast<float>(i + 1));
  for (int i = 0; i < kOut * kIn; ++i) w[i] = from_f32<T>(static_cast<float>(2 - i));
  for (int k = 0; k < kOut; ++k) b[k] = from_f32<T>(static_cast<float>(10 * k));
  const auto plan = make_linear(run.ctx, {.n = kRows, .in = kIn, .k = kOut, .dtype = dtype});
  void* const workspace = run.array<std::byte>(plan->workspace_bytes());
  const auto tensor = [&](T* data, std::int64_t n, std::int64_t c) {
    return Tensor{data, dtype, features(n, c)};
  };
  const Tensor xs = tensor(x, kRows, kIn), ws = tensor(w, kOut, kIn), ys = tensor(y, kRows, kOut);
  plan->forward(xs, ws, tensor(b, 1, kOut), ys, workspace);
  const float want[] = {4, -4, 13, -22};
  for (int i = 0; i < kRows * kOut; ++i) EXPECT_EQ(as_f32(y[i]), want[i]) << i;
  plan->backward_weights(xs, {}, ys, ws, tensor(db, 1, kOut), workspace);
  EXPECT_EQ(as_f32(w[0]), 4 * 1 + 13 * 4);
  EXPECT_EQ(as_f32(w[5]), -4 * 3 - 22 * 6);
  EXPECT_EQ(as_f32(db[0]), 17);
  EXPECT_EQ(as_f32(db[1]), -26);
}

TEST(Simt, LibraryDoublesRoundToTheDtype) {
  expect_linear_in<bf16>(DType::bf16);
  expect_linear_in<f16>(DType::f16);
  // 257 lies between the bf16 numbers 256 and 258.
  KernelRun run;
  auto* const x = run.array<bf16>(1, from_f32<bf16>(256.0f));
  auto* const w = run.array<bf16>(1, from_f32<bf16>(1.0f));
  auto* const y = run.array<bf16>(1);
  const auto tensor = [&](bf16* data) { return Tensor{data, DType::bf16, {1, 1, 1, 1}}; };
  const auto plan = make_conv2d(run.ctx, {.x = {1, 1, 1, 1}, .k = 1, .dtype = DType::bf16});
  void* const workspace = run.array<std::byte>(plan->workspace_bytes());
  plan->forward(tensor(x), tensor(w), tensor(w), tensor(y), workspace);
  EXPECT_EQ(as_f32(y[0]), 256.0f);
}

}  // namespace
}  // namespace lamina::cuda
