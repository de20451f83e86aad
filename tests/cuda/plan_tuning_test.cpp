// Choosing plans by their time, with a clock that is told what to say: nothing runs here.
// SPDX-License-Identifier: Apache-2.0
#include <cudnn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <set>
#include <vector>

#include "kernels/cuda/conv2d_graph.h"
#include "kernels/host_memory.h"
#include "kernels/plan_cache.h"
#include "tests/cuda/plan_device.h"

namespace lamina::test {
namespace {

using cuda::Conv2dPass;
using cuda::CudnnPlan;

// Among cuDNN's candidates are engines that add up with atomics.
const Conv2dDesc kDesc{.x = {64, 14, 14, 6}, .k = 16, .r = 5, .s = 5};

class Memory final : public HostDevice {
 public:
  std::string describe() const override { return "memory"; }
};

// Asks `time` for the milliseconds of the n-th plan that it is given.
class ToldTimer final : public cuda::PlanTimer {
 public:
  explicit ToldTimer(std::function<double(int)> time) : time_(std::move(time)) {}

  Buffer zeros(std::size_t bytes) override {
    sizes.push_back(bytes);
    return {memory_, bytes};
  }
  double milliseconds(const Run&) override { return time_(count++); }

  int count = 0;
  std::vector<std::size_t> sizes;

 private:
  Memory memory_;
  std::function<double(int)> time_;
};

CudnnPlan plan(cuda::PlanTimer* timer,
               Conv2dPass pass = Conv2dPass::forward,
               PlanCache* cache = nullptr) {
  cuda::CudnnTarget target = plan_target(std::string(LAMINA_DEVICES) + "/h100.json");
  target.timer = timer;
  target.cache = cache;
  return {target, kDesc.dtype, conv2d_graph(kDesc, pass)};
}

TEST(PlanTuning, TakesTheFirstOfEquals) {
  for (Conv2dPass pass :
       {Conv2dPass::forward, Conv2dPass::backward_data, Conv2dPass::backward_weights}) {
    ToldTimer timer([](int) { return 1.0; });
    const CudnnPlan tuned = plan(&timer, pass), first = plan(nullptr, pass);
    EXPECT_GT(timer.count, 1);
    EXPECT_EQ(tuned.engine(), first.engine());
    EXPECT_EQ(tuned.workspace_bytes(), first.workspace_bytes());
  }
}

// Each plan in turn is the fastest: what can win is what was timed, and nothing that must not.
TEST(PlanTuning, TakesTheFastestOfTheEnginesThatRepeat) {
  ToldTimer counter([](int) { return 1.0; });
  plan(&counter, Conv2dPass::backward_weights);
  std::set<std::string> engines;
  for (int fastest = 0; fastest < counter.count; ++fastest) {
    ToldTimer timer([fastest](int i) { return i == fastest ? 1.0 : 2.0; });
    const CudnnPlan tuned = plan(&timer, Conv2dPass::backward_weights);
    // Behind the three tensors, the timer gave each plan its workspace.
    EXPECT_EQ(tuned.workspace_bytes(), timer.sizes.at(3 + static_cast<std::size_t>(fastest)));
    // By number: cuDNN does not tell the notes of a finished plan. This one adds up with atomics.
    if (cudnnGetVersion() / 100 == 919) {
      EXPECT_NE(tuned.engine().substr(0, 5), "eng20");
    }
    engines.insert(tuned.engine());
  }
  EXPECT_GT(engines.size(), 2U);
}

TEST(PlanTuning, GivesTheTensorsTheirBytes) {
  ToldTimer timer([](int) { return 1.0; });
  plan(&timer);
  ASSERT_GT(timer.sizes.size(), 3U);
  EXPECT_EQ(timer.sizes.at(0), 64U * 14 * 14 * 6 * sizeof(float));   // x
  EXPECT_EQ(timer.sizes.at(1), 16U * 5 * 5 * 6 * sizeof(float));     // w
  EXPECT_EQ(timer.sizes.at(2), 64U * 10 * 10 * 16 * sizeof(float));  // y
}

TEST(PlanTuning, PassesOverWhatDoesNotRun) {
  ToldTimer fails_first([](int i) {
    if (i == 0) fail("no memory");
    return 1.0;
  });
  ToldTimer second([](int i) { return i == 1 ? 1.0 : 2.0; });
  const CudnnPlan tuned = plan(&fails_first);
  EXPECT_EQ(tuned.engine(), plan(&second).engine());
  EXPECT_NE(tuned.engine(), plan(nullptr).engine());

  ToldTimer fails([](int) -> double { fail("no memory"); });
  try {
    plan(&fails);
    FAIL() << "took a plan that did not run";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "none of cuDNN's plans could be timed: no memory");
  }
}

TEST(PlanTuning, IsDoneOnce) {
  const auto folder = std::filesystem::path(testing::TempDir()) / fmt::format("tuned-{}", getpid());
  PlanCache cache(folder);
  plan(nullptr, Conv2dPass::forward, &cache);  // the choice of the heuristics is not one by time
  ToldTimer timer([](int i) { return 9.0 - i; });
  const CudnnPlan tuned = plan(&timer, Conv2dPass::forward, &cache);
  EXPECT_GT(timer.count, 1);
  const int count = timer.count;
  const CudnnPlan again = plan(&timer, Conv2dPass::forward, &cache);
  EXPECT_EQ(timer.count, count);
  EXPECT_EQ(again.engine(), tuned.engine());
  EXPECT_EQ(again.workspace_bytes(), tuned.workspace_bytes());
  EXPECT_NE(plan(nullptr, Conv2dPass::forward, &cache).engine(), tuned.engine());
  std::filesystem::remove_all(folder);
}

// The device of the plans, with a clock.
class TimedDevice final : public HostDevice, public cuda::CudnnDevice {
 public:
  TimedDevice(cuda::PlanTimer* timer, PlanCache* cache) : timer_(timer), cache_(cache) {}
  std::string describe() const override { return "a described device with a clock"; }
  cuda::CudnnTarget cudnn_target() override {
    cuda::CudnnTarget target = plan_target(std::string(LAMINA_DEVICES) + "/h100.json");
    target.timer = timer_;
    target.cache = cache_;
    return target;
  }

 private:
  cuda::PlanTimer* timer_;
  PlanCache* cache_;
};

const Conv2dDesc kDepthwise{
    .x = {64, 28, 28, 32}, .k = 32, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 32};

std::string chosen(cuda::PlanTimer* timer, PlanCache* cache = nullptr) {
  Context ctx(BackendKind::cuda, 1, std::make_unique<TimedDevice>(timer, cache));
  return make_conv2d(ctx, kDepthwise)->describe();
}

TEST(DepthwiseChoice, IsOursUnlessCudnnIsFaster) {
  EXPECT_EQ(chosen(nullptr), "depthwise 3x3");
  ToldTimer even([](int) { return 1.0; });
  EXPECT_EQ(chosen(&even), "depthwise 3x3");
  // The last that is timed is cuDNN's best, behind ours.
  const int last = even.count - 1;
  ToldTimer faster([last](int i) { return i == last ? 0.5 : 1.0; });
  EXPECT_EQ(chosen(&faster).substr(0, 6), "cuDNN ");
  ToldTimer slower([last](int i) { return i == last - 1 ? 0.5 : 1.0; });
  EXPECT_EQ(chosen(&slower), "depthwise 3x3");
}

TEST(DepthwiseChoice, IsMadeOnce) {
  const auto folder =
      std::filesystem::path(testing::TempDir()) / fmt::format("chosen-{}", getpid());
  PlanCache cache(folder);
  ToldTimer falling([](int i) { return 1000.0 - i; });
  EXPECT_EQ(chosen(&falling, &cache).substr(0, 6), "cuDNN ");
  ToldTimer rising([](int i) { return 1.0 + i; });
  EXPECT_EQ(chosen(&rising, &cache).substr(0, 6), "cuDNN ");
  EXPECT_EQ(rising.count, 0);
  EXPECT_EQ(chosen(&rising), "depthwise 3x3");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace lamina::test
