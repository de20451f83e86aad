// Dropout: the mask is the same on every backend, and it is a fair draw.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/dropout.h"

#include <cmath>

#include <fmt/format.h>

#include "engine/core/philox.h"
#include "tests/kernels/harness.h"

namespace lamina::test {
namespace {

struct Case {
  std::string name;
  Shape shape;
  DropoutOpts opts;
  StepState state;
};

Problem make_problem(const Case& c, DType dtype = DType::f32) {
  Problem problem{.name = "dropout/" + c.name, .dtype = dtype};
  Draw draw(problem.name);
  problem.slots = {in("x", c.shape, draw.normal(c.shape, 3)),
                   in("dy", c.shape, draw.normal(c.shape, 3)),
                   // A division, or a product with a reciprocal that is itself rounded. An element
                   // kept on one side only is off by all of its value.
                   out("y", c.shape, {2}),
                   out("dx", c.shape, {2}),
                   state_slot(c.state)};
  problem.round_inputs();
  for (const char* name : {"y", "dx"}) problem.slot(name).sparse = true;
  problem.body = [opts = c.opts](Call& call) {
    dropout(call.ctx(), opts, call.state(), call["x"], call["y"]);
    dropout(call.ctx(), opts, call.state(), call["dy"], call["dx"]);
  };
  problem.in_place = {{"y", "x"}, {"dx", "dy"}};
  return problem;
}

// Of all ones, so that the result is the mask.
Values mask_of(BackendKind backend,
               const DropoutOpts& opts,
               std::int64_t step,
               std::int64_t count = 40000) {
  const Shape shape = features(1, count);
  Problem problem{.name = "dropout/mask"};
  problem.slots = {in("x", shape, Values(static_cast<std::size_t>(count), 1.0)),
                   out("y", shape, {}),
                   state_slot({.step = step})};
  problem.body = [opts](Call& call) {
    dropout(call.ctx(), opts, call.state(), call["x"], call["y"]);
  };
  Context ctx = make_context({.backend = backend, .threads = 2});
  Values mask = execute(ctx, DType::f32, problem).values.at("y");
  for (double& kept : mask) kept = kept != 0;
  return mask;
}

double share(const Values& mask) {
  double sum = 0;
  for (double kept : mask) sum += kept;
  return sum / static_cast<double>(mask.size());
}

// Five standard deviations of a share over `count` draws.
double spread(double p, std::size_t count) {
  return 5 * std::sqrt(p * (1 - p) / static_cast<double>(count));
}

class DropoutKernel : public KernelTest {};
LAMINA_OVER_BACKENDS(DropoutKernel);

TEST_P(DropoutKernel, Shapes) {
  Table table(GetParam());
  const std::vector<Shape> shapes{{1, 1, 1, 1},
                                  {1, 3, 5, 7},
                                  {3, 1, 1, 5},
                                  features(7, 120),
                                  features(64, 84),
                                  {7, 10, 10, 16},
                                  features(1, 4099)};
  for (const Shape& shape : shapes) {
    for (double p : {0.0, 0.1, 0.5, 0.7, 1.0}) {
      const Case c{fmt::format("{}/p{}", shape.to_string(), p),
                   shape,
                   {.p = p, .seed = 7, .stream = 3},
                   {.step = 11}};
      table.check(make_problem, c);
    }
  }
}

// Seeds and steps wider than 32 bits: the seed enters whole, the step with its low half.
TEST_P(DropoutKernel, WideSeedsAndSteps) {
  Table table(GetParam());
  const std::uint64_t wide = 0xFEDCBA9876543210ull;
  const Shape shape = features(3, 35);
  for (const Case& c : {Case{"wide_seed", shape, {.seed = wide, .stream = 0xFFFFFF}, {.step = 5}},
                        Case{"wide_step", shape, {.seed = 1}, {.step = (5LL << 32) + 9}}})
    table.check(make_problem, c);
  const DropoutOpts opts{.seed = 1};
  EXPECT_EQ(mask_of(GetParam(), opts, 9), mask_of(GetParam(), opts, (5LL << 32) + 9));
}

// The draw that a comparison in f32 decides the other way: 0.7f is a multiple of 2^-24 below 0.7.
TEST_P(DropoutKernel, DrawsNextToTheThreshold) {
  const double p = 0.7;
  const auto below = static_cast<std::uint32_t>(std::floor(p * 16777216.0));
  const std::uint64_t seed = 2024;
  const std::int64_t count = 4096;
  for (std::uint32_t step = 0; step < 100000; ++step) {
    for (std::uint64_t block = 0; block < count / 4; ++block) {
      const Philox4 draw = philox(seed, 0, step, block);
      for (std::uint32_t word : draw.v) {
        if (word >> 8 != below) continue;
        Table table(GetParam());
        const Case c{
            "next_to_the_threshold", features(1, count), {.p = p, .seed = seed}, {.step = step}};
        table.check(make_problem, c);
        return;
      }
    }
  }
  FAIL() << "no such draw was found";
}

TEST_P(DropoutKernel, KeepsTheRightShare) {
  for (double p : {0.0, 0.1, 0.5, 0.9, 1.0}) {
    const Values mask = mask_of(GetParam(), {.p = p, .seed = 3}, 0);
    EXPECT_NEAR(share(mask), 1 - p, spread(p, mask.size())) << "p " << p;
    // Neighbours are independent: both are kept with the square of the probability.
    Values pairs;
    for (std::size_t i = 0; i + 1 < mask.size(); i += 2) pairs.push_back(mask[i] * mask[i + 1]);
    const double both = (1 - p) * (1 - p);
    EXPECT_NEAR(share(pairs), both, spread(both, pairs.size())) << "pairs at p " << p;
  }
}

TEST_P(DropoutKernel, MasksDependOnSeedStreamAndStep) {
  const DropoutOpts opts{.seed = 3, .stream = 1};
  const Values mask = mask_of(GetParam(), opts, 4);
  EXPECT_EQ(mask, mask_of(GetParam(), opts, 4));
  const auto agreement = [&](const Values& other) {
    Values same;
    for (std::size_t i = 0; i < mask.size(); ++i) same.push_back(mask[i] == other[i]);
    return share(same);
  };
  const double tolerance = spread(0.5, mask.size());
  EXPECT_NEAR(agreement(mask_of(GetParam(), opts, 5)), 0.5, tolerance);
  EXPECT_NEAR(agreement(mask_of(GetParam(), {.seed = 4, .stream = 1}, 4)), 0.5, tolerance);
  EXPECT_NEAR(agreement(mask_of(GetParam(), {.seed = 3, .stream = 2}, 4)), 0.5, tolerance);
}

TEST(DropoutGradients, MatchDifferences) {
  Problem problem = make_problem({"difference", {2, 3, 5, 2}, {.p = 0.3, .seed = 5}, {.step = 2}});
  check_gradients(problem, "y", "dy", {{"x", "dx"}});
}

}  // namespace
}  // namespace lamina::test
