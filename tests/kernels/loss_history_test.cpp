// The losses that a run keeps on the device: one element a step, in a ring.
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cmath>
#include <vector>

#include "kernels/loss.h"
#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

class LossHistory : public KernelTest {};
LAMINA_OVER_BACKENDS(LossHistory);

TEST_P(LossHistory, HasTheLossOfEachStep) {
  Context ctx = make_context({.backend = GetParam(), .threads = 2});
  constexpr std::int64_t kSamples = 4, kClasses = 3, kLength = 5;
  const Shape shape = features(kSamples, kClasses);
  const Buffer x = ctx.allocate(kSamples * kClasses * sizeof(float)),
               labels = ctx.allocate(kSamples * sizeof(std::int32_t)),
               loss = ctx.allocate(sizeof(float)), history = ctx.allocate(kLength * sizeof(float)),
               state = ctx.allocate(sizeof(StepState));
  const std::array<std::int32_t, kSamples> truth{0, 2, 1, 2};
  ctx.copy_in(labels.data(), truth.data(), labels.size());
  ctx.zero(history.data(), history.size());
  const Metrics metrics{{}, {}, vector_view(history.data(), DType::f32, kLength)};
  Draw draw("loss history");
  std::array<float, kLength> want{};
  for (std::int64_t step = 3; step < 10; ++step) {
    std::vector<float> values;
    for (double value : draw.normal(shape)) values.push_back(static_cast<float>(value));
    ctx.copy_in(x.data(), values.data(), x.size());
    const StepState now{.step = step};
    ctx.copy_in(state.data(), &now, sizeof now);
    class_loss(ctx,
               {},
               {x.data(), DType::f32, shape},
               vector_view(labels.data(), DType::i32, kSamples),
               vector_view(loss.data(), DType::f32, 1),
               {},
               metrics,
               static_cast<const StepState*>(state.data()));
    ctx.copy_out(&want[static_cast<std::size_t>(step % kLength)], loss.data(), sizeof(float));
  }
  std::array<float, kLength> got{};
  ctx.copy_out(got.data(), history.data(), history.size());
  EXPECT_EQ(got, want);
  EXPECT_GT(want[0], 0.0f);
}

}  // namespace
}  // namespace lamina::test
