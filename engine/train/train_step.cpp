// SPDX-License-Identifier: Apache-2.0
#include "engine/train/train_step.h"

#include <algorithm>

namespace lamina {

TrainStep::TrainStep(Context& ctx, const TrainStepParts& parts) : ctx_(&ctx), parts_(parts) {}

// The batches of one update. Each counts by its samples, so that the gradient is the mean over all
// of them, the smaller last batch of an epoch included.
std::int64_t TrainStep::walk_update(std::int64_t cursor) {
  BatchWalk& walk = *parts_.walk;
  const std::int64_t end = std::min(cursor + parts_.accumulate * walk.batch(), walk.count());
  const auto samples = static_cast<double>(end - cursor);
  std::int64_t batches = 0;
  while (cursor < end) {
    Program& program = walk.load(cursor);
    program.forward();
    program.loss_and_gradient(parts_.metrics, static_cast<double>(program.batch()) / samples);
    program.backward();
    if (parts_.accumulate > 1) parts_.optimizer->collect(batches == 0);
    cursor += program.batch();
    ++batches;
    const bool update = cursor >= end;
    if (update) parts_.optimizer->step(parts_.state);
    if (update && parts_.average != nullptr) parts_.average->step();
    advance(*ctx_, {program.batch(), update}, parts_.state, parts_.rates, parts_.momenta);
  }
  return batches;
}

std::int64_t TrainStep::run(std::int64_t cursor, std::int64_t most) {
  const std::int64_t count = parts_.walk->count();
  const std::int64_t samples = parts_.accumulate * parts_.walk->batch();  // of a full update
  const bool full = cursor + samples <= count;
  // The first full update runs as it is: libraries load their code then, which nothing can record.
  if (!parts_.record || !full || !warm_) {
    warm_ = warm_ || full;
    return walk_update(cursor);
  }
  const bool block = !parts_.walk->streamed() && most >= kBlock * parts_.accumulate &&
                     cursor + kBlock * samples <= count;
  const std::int64_t updates = block ? kBlock : 1;
  parts_.walk->stage(cursor, cursor + updates * samples);
  std::unique_ptr<Recording>& recording = block ? block_ : single_;
  if (!recording) {
    ctx_->device().begin_recording();
    for (std::int64_t i = 0; i < updates; ++i) walk_update(cursor);
    recording = ctx_->device().end_recording();
    if (!recording) {  // this backend has run the steps while we thought it listened
      parts_.record = false;
      return updates * parts_.accumulate;
    }
  }
  recording->replay();
  return updates * parts_.accumulate;
}

}  // namespace lamina
