// One step of training, from the data set to the updated parameters, as a fixed list of launches.
//
// What changes from step to step lies in device memory (StepState), so a backend that can record
// (cuda) runs the list once, records it, and from then on replays it: one step, or a block of them,
// is one call. A backend that cannot walks the list every time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "engine/train/batch_walk.h"
#include "engine/train/optimizer.h"

namespace lamina {

class TrainStep {
 public:
  // All of them outlive the step and are bound already. record: false walks the list every time.
  TrainStep(Context& ctx,
            BatchWalk& walk,
            Optimizer& optimizer,
            const Metrics& metrics,
            StepState* state,
            bool record);

  // Runs the steps from sample `cursor` of the order on, which must be what `state` says: at least
  // one, at most `most`. Returns how many. Asynchronous.
  std::int64_t run(std::int64_t cursor, std::int64_t most);

  static constexpr std::int64_t kBlock = 8;  // steps that are recorded as one

 private:
  void walk_list(std::int64_t cursor);

  Context* ctx_;
  BatchWalk* walk_;
  Optimizer* optimizer_;
  Metrics metrics_;
  StepState* state_;
  bool record_, warm_ = false;
  std::unique_ptr<Recording> single_, block_;
};

}  // namespace lamina
