// SPDX-License-Identifier: Apache-2.0
#include "engine/train/train_step.h"

namespace lamina {

TrainStep::TrainStep(Context& ctx,
                     BatchWalk& walk,
                     Optimizer& optimizer,
                     const Metrics& metrics,
                     StepState* state,
                     bool record)
    : ctx_(&ctx),
      walk_(&walk),
      optimizer_(&optimizer),
      metrics_(metrics),
      state_(state),
      record_(record) {}

void TrainStep::walk_list(std::int64_t cursor) {
  Program& program = walk_->load(cursor);
  program.forward();
  program.loss_and_gradient(metrics_);
  program.backward();
  optimizer_->step(state_);
  advance(*ctx_, {.samples = program.batch()}, state_, {});
}

std::int64_t TrainStep::run(std::int64_t cursor, std::int64_t most) {
  const std::int64_t batch = walk_->batch();
  const bool full = cursor + batch <= walk_->count();
  // The first full step runs as it is: libraries load their code then, which nothing can record.
  if (!record_ || !full || !warm_) {
    warm_ = warm_ || full;
    walk_list(cursor);
    return 1;
  }
  const bool block = most >= kBlock && cursor + kBlock * batch <= walk_->count();
  const std::int64_t steps = block ? kBlock : 1;
  std::unique_ptr<Recording>& recording = block ? block_ : single_;
  if (!recording) {
    ctx_->device().begin_recording();
    for (std::int64_t i = 0; i < steps; ++i) walk_list(cursor);
    recording = ctx_->device().end_recording();
    if (!recording) {  // this backend has run the steps while we thought it listened
      record_ = false;
      return steps;
    }
  }
  recording->replay();
  return steps;
}

}  // namespace lamina
