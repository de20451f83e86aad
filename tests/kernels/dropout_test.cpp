// Dropout masks are fair draws.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/dropout.h"

#include <cmath>

#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

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

// A step enters with its low half.
TEST_P(DropoutKernel, StepsWrapAt32Bits) {
  const DropoutOpts opts{.seed = 1};
  EXPECT_EQ(mask_of(GetParam(), opts, 9), mask_of(GetParam(), opts, (5LL << 32) + 9));
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

}  // namespace
}  // namespace lamina::test
