// How much a GPU is given to do in a step: a small net's time goes into launches. More than stands
// here is a step back; who needs fewer lowers the number.
// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <gtest/gtest.h>

#include "engine/train/evaluate.h"
#include "engine/train/train_step.h"
#include "kernels/context.h"
#include "nets/registry.h"
#include "tests/simt/device.h"

namespace lamina {
namespace {

std::int64_t launches_of_a_step(const std::string& net, DType dtype) {
  Context ctx = make_context({.backend = BackendKind::cuda});
  Model model(ctx, build_net(net), DType::f32, dtype);
  model.initialise(1);
  const Dataset images = load_dataset("synthetic-digits", Part::train, {"", 1, 16});
  const DeviceDataset data(ctx, images);
  BatchWalk walk(model, data, {}, {.batch = 8}, data.count());
  walk.set_order(all_samples(data.count()));
  Optimizer optimizer(model, {});
  MetricSums metrics(ctx, 10, false);
  const Buffer memory = ctx.allocate(sizeof(StepState));
  auto* const state = static_cast<StepState*>(memory.data());
  const StepState now{.lr = 1e-3f};
  ctx.copy_in(state, &now, sizeof now);
  const Buffer arena = ctx.allocate(walk.arena_bytes());
  walk.bind(arena.bytes_at(0), state);
  TrainStep step(ctx,
                 {.walk = &walk,
                  .optimizer = &optimizer,
                  .metrics = metrics.device(),
                  .state = state,
                  .record = false});
  const simt::SimtDevice& device = simt::device_of(ctx);
  const std::int64_t before = device.submitted();
  step.run(0, 1);
  return device.submitted() - before;
}

TEST(SimtLaunches, OfAStep) {
  struct Case {
    const char* net;
    std::int64_t f32, f16;
  };
  for (const Case& c : {Case{"lenet_bn", 39, 42},
                        Case{"lenet5", 30, 31},
                        Case{"fc2_mnist", 16, 17},
                        Case{"cnn_mnist", 24, 25}}) {
    EXPECT_LE(launches_of_a_step(c.net, DType::f32), c.f32) << c.net;
    EXPECT_LE(launches_of_a_step(c.net, DType::f16), c.f16) << c.net;
  }
}

}  // namespace
}  // namespace lamina
