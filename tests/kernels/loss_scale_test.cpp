// Overflows of scaled gradients: where they are found, what they leave alone, and the scale after.
// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "kernels/gradient_slab.h"
#include "kernels/optimizer.h"
#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class LossScaleKernel : public KernelTest {};
LAMINA_OVER_BACKENDS(LossScaleKernel);

StepState state_after(BackendKind backend, const Problem& problem) {
  Context ctx = make_context({.backend = backend, .threads = 2});
  const Outcome outcome = execute(ctx, problem.dtype, problem);
  EXPECT_TRUE(outcome.faults.empty()) << outcome.faults.front();
  StepState state;
  std::memcpy(&state, outcome.bytes.at("state").data(), sizeof state);
  return state;
}

// Where the overflow of gradients with these odd values is noted.
std::int64_t found_at(BackendKind backend,
                      DType dtype,
                      std::int64_t count,
                      const std::vector<std::pair<std::int64_t, double>>& odd,
                      std::int64_t first = 0,
                      std::int64_t earlier = StepState::kNowhere) {
  const Shape shape = features(1, count);
  Problem problem{.name = "find_overflow", .dtype = dtype};
  Values dw = Draw(problem.name).normal(shape);
  for (const auto& [at, value] : odd) dw[static_cast<std::size_t>(at)] = value;
  problem.slots = {in("dw", shape, dw), state_slot({.overflow_at = earlier}, Role::inout)};
  problem.round_inputs();
  problem.body = [first](Call& call) {
    find_overflow(call.ctx(), call.state(), call["dw"], first);
  };
  return state_after(backend, problem).overflow_at;
}

TEST_P(LossScaleKernel, TheFirstOverflowIsFound) {
  for (DType dtype : dtypes_of(GetParam())) {
    for (std::int64_t count : {1, 2, 3, 7, 31, 33, 255, 256, 257, 1000, 4099, 70001}) {
      SCOPED_TRACE(fmt::format("{} gradients in {}", count, name_of(dtype)));
      const auto at = [&](const std::vector<std::pair<std::int64_t, double>>& odd) {
        return found_at(GetParam(), dtype, count, odd);
      };
      EXPECT_EQ(at({}), StepState::kNowhere);
      EXPECT_EQ(at({{0, kInfinity}}), 0);
      EXPECT_EQ(at({{count - 1, -kInfinity}}), count - 1);
      EXPECT_EQ(at({{count / 2, kNan}}), count / 2);
      EXPECT_EQ(at({{count - 1, kNan}, {count / 3, kInfinity}, {count / 2, -kInfinity}}),
                count / 3);
    }
  }
  constexpr std::int64_t kLast = kMoreThanAGrid - 1;
  EXPECT_EQ(found_at(GetParam(), DType::f32, kMoreThanAGrid, {{kLast, kNan}}), kLast);
}

TEST_P(LossScaleKernel, OverflowsAreCountedFromTheFirstElement) {
  const std::int64_t first = (1LL << 33) + 5;
  for (DType dtype : dtypes_of(GetParam())) {
    SCOPED_TRACE(name_of(dtype));
    const auto at = [&](std::int64_t earlier) {
      return found_at(GetParam(), dtype, 100, {{42, kInfinity}}, first, earlier);
    };
    EXPECT_EQ(at(StepState::kNowhere), first + 42);
    EXPECT_EQ(at(first + 43), first + 42);
    EXPECT_EQ(at(first + 41), first + 41);
    EXPECT_EQ(found_at(GetParam(), dtype, 100, {}, first, 17), 17);
  }
}

// The largest number is no overflow, and neither are the smallest.
TEST_P(LossScaleKernel, TheEndsOfTheRangeAreFinite) {
  for (DType dtype : dtypes_of(GetParam())) {
    const double largest = dtype == DType::f16    ? 65504
                           : dtype == DType::bf16 ? 0x1.FEp127
                                                  : std::numeric_limits<float>::max();
    const double smallest = dtype == DType::f16 ? 0x1p-24 : 0x1p-126;
    EXPECT_EQ(found_at(GetParam(), dtype, 4, {{0, largest}, {1, -largest}, {2, smallest}, {3, 0}}),
              StepState::kNowhere)
        << name_of(dtype);
  }
}

// One step of either optimizer over a slab with a copy.
Problem step_problem(DType dtype, bool adam, std::int64_t overflow_at) {
  const Shape shape = features(1, 301);
  Problem problem{.name = "step", .dtype = dtype};
  Draw draw(problem.name);
  for (const char* name : {"w", "m", "v"})
    problem.slots.push_back(wide(inout(name, shape, draw.uniform(shape, 0.5, 2), {})));
  problem.slots.push_back(inout("copy", shape, draw.normal(shape), {}));
  problem.slots.push_back(in("dw", shape, draw.normal(shape, 0, 64)));
  problem.slots.push_back(
      state_slot({.step = 3, .lr = 0.1f, .loss_scale = 64, .overflow_at = overflow_at}));
  problem.round_inputs();
  problem.body = [adam](Call& call) {
    const Tensor w = call["w"], dw = call["dw"], m = call["m"], v = call["v"], copy = call["copy"];
    if (adam) {
      adam_step(call.ctx(), {.weight_decay = 0.1}, call.state(), w, dw, m, v, copy);
    } else {
      sgd_step(call.ctx(), {.momentum = 0.9}, call.state(), w, dw, m, copy);
    }
  };
  return problem;
}

TEST_P(LossScaleKernel, AnOverflowChangesNothing) {
  Context ctx = make_context({.backend = GetParam(), .threads = 2});
  for (DType dtype : dtypes_of(GetParam())) {
    for (bool adam : {false, true}) {
      SCOPED_TRACE(fmt::format("{} in {}", adam ? "adam" : "sgd", name_of(dtype)));
      const Problem noted = step_problem(dtype, adam, 17);
      const auto left = execute(ctx, dtype, noted).values;
      const auto moved = execute(ctx, dtype, step_problem(dtype, adam, StepState::kNowhere)).values;
      for (const char* name : {"w", "m", "v", "copy"}) {
        EXPECT_EQ(left.at(name), noted.slot(name).values) << name;
        EXPECT_EQ(moved.at(name) == noted.slot(name).values, !adam && *name == 'v') << name;
      }
    }
  }
}

TEST_P(LossScaleKernel, TheCopyIsTheRoundedWeight) {
  Context ctx = make_context({.backend = GetParam(), .threads = 2});
  for (DType dtype : dtypes_of(GetParam())) {
    for (bool adam : {false, true}) {
      const auto values =
          execute(ctx, dtype, step_problem(dtype, adam, StepState::kNowhere)).values;
      EXPECT_EQ(values.at("copy"), rounded(dtype, values.at("w"))) << name_of(dtype);
    }
  }
}

StepState advanced(BackendKind backend, const StepState& state, std::int64_t samples = 64) {
  Problem problem{.name = "advance", .slots = {state_slot(state, Role::inout)}};
  problem.body = [samples](Call& call) {
    advance(call.ctx(), {.samples = samples}, call.state(), {}, {});
  };
  return state_after(backend, problem);
}

TEST_P(LossScaleKernel, AdvanceCountsStepsAndSamples) {
  StepState state{.step = 1LL << 40, .cursor = 7, .lr = 0.25f, .loss_scale = 8};
  state = advanced(GetParam(), advanced(GetParam(), state, 64), 36);
  EXPECT_EQ(state.step, (1LL << 40) + 2);
  EXPECT_EQ(state.cursor, 107);
  EXPECT_EQ(state.lr, 0.25f);
  EXPECT_EQ(state.loss_scale, 8);  // fixed without a growth interval
  EXPECT_EQ(state.skipped, 0);
}

TEST_P(LossScaleKernel, AdvanceDoublesTheScaleAfterGoodSteps) {
  StepState state{.loss_scale = 256, .growth_interval = 3};
  std::vector<float> scales;
  for (int step = 0; step < 7; ++step) {
    state = advanced(GetParam(), state);
    scales.push_back(state.loss_scale);
  }
  EXPECT_EQ(scales, (std::vector<float>{256, 256, 512, 512, 512, 1024, 1024}));
  EXPECT_EQ(state.good_steps, 1);
}

TEST_P(LossScaleKernel, AdvanceHalvesTheScaleAfterAnOverflow) {
  StepState state{.step = 9,
                  .cursor = 5,
                  .loss_scale = 256,
                  .growth_interval = 3,
                  .good_steps = 2,
                  .overflow_at = 123,
                  .skipped = 4};
  state = advanced(GetParam(), state);
  EXPECT_EQ(state.loss_scale, 128);
  EXPECT_EQ(state.good_steps, 0);
  EXPECT_EQ(state.overflow_at, StepState::kNowhere);
  EXPECT_EQ(state.last_overflow, 123);
  EXPECT_EQ(state.skipped, 5);
  EXPECT_EQ(state.step, 10);
  EXPECT_EQ(state.cursor, 69);
  EXPECT_EQ(advanced(GetParam(), state).loss_scale, 128);
  EXPECT_EQ(advanced(GetParam(), state).last_overflow, 123);
  // Below 1 it does not go: gradients that overflow unscaled are nothing a scale can mend.
  EXPECT_EQ(advanced(GetParam(), {.loss_scale = 1, .overflow_at = 0}).loss_scale, 1);
}

}  // namespace
}  // namespace lamina::test
