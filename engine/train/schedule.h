// The learning rate of each update, and with --cycle-momentum its momentum.
//
// step, multi_step and plateau change it between epochs, cosine, one_cycle and the warm-up with
// every update. Where PyTorch has a scheduler of the name, the numbers are its (StepLR,
// MultiStepLR, CosineAnnealingLR over updates, OneCycleLR with its
// defaults, ReduceLROnPlateau with
// a relative threshold of 1e-4). The warm-up is linear: update u of W has (u + 1) / W of the first
// rate (Goyal et al., https://arxiv.org/abs/1706.02677).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "engine/train/config.h"

namespace lamina {

// What the plateau schedule remembers from epoch to epoch.
struct PlateauState {
  double rate = 0;  // 0: not begun
  double best = std::numeric_limits<double>::infinity();
  std::int64_t stale = 0;  // epochs without a lower loss
};

class Schedule {
 public:
  Schedule(const TrainConfig& config, std::int64_t updates_per_epoch);

  // Of the update that is the `update`th since the start of training, counted from 0.
  double rate(std::int64_t update) const;
  // That of one_cycle with cycle_momentum: falls while the rate rises, and back.
  double momentum(std::int64_t update) const;
  // What plateau looks at: the validation loss, or the training loss where there is none.
  void end_epoch(double loss);

  const PlateauState& plateau() const { return plateau_; }
  void restore(const PlateauState& plateau) { plateau_ = plateau; }

 private:
  double after_warmup(std::int64_t update) const;
  // From `start` to `top` in the first 30 % of all updates, then to `end`.
  double one_cycle(std::int64_t update, double start, double top, double end) const;

  TrainConfig config_;
  std::vector<std::int64_t> milestones_;
  std::int64_t per_epoch_, total_, warmup_;  // updates
  PlateauState plateau_;
};

}  // namespace lamina
