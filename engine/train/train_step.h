// One step of training, from the data set to the updated parameters, as a fixed list of launches.
//
// What changes from step to step lies in device memory (StepState), so a backend that can record
// (cuda) runs the list once, records it, and from then on replays it: one step, or a block of them,
// is one call. A backend that cannot walks the list every time. Of a streamed data set one update
// is a call, since its samples come to the device before it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "engine/train/average.h"
#include "engine/train/batch_walk.h"
#include "engine/train/optimizer.h"

namespace lamina {

struct TrainStepParts {
  BatchWalk* walk;
  Optimizer* optimizer;
  Average* average = nullptr;  // of the weights, where there is one
  Metrics metrics;
  StepState* state;
  Tensor rates = {}, momenta = {};  // of an epoch's batches, see advance(); no momenta: one for all
  std::int64_t accumulate = 1;      // batches an update; fewer at the end of an epoch
  bool record = true;               // false: walks the list every time
};

class TrainStep {
 public:
  // All parts outlive the step and are bound already.
  TrainStep(Context& ctx, const TrainStepParts& parts);

  // Runs the batches from sample `cursor` of the order on, which must be what the state says: those
  // of one update at least, or `most`. Returns how many. Asynchronous.
  std::int64_t run(std::int64_t cursor, std::int64_t most);

  static constexpr std::int64_t kBlock = 8;  // updates that are recorded as one

 private:
  std::int64_t walk_update(std::int64_t cursor);

  Context* ctx_;
  TrainStepParts parts_;
  bool warm_ = false;
  std::unique_ptr<Recording> single_, block_;
};

}  // namespace lamina
