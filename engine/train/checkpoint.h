// A training run on disk: <run>/state.safetensors holds everything that resuming needs, written
// atomically, so that a killed run finds either the old or the new state.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <utility>
#include <vector>

#include "engine/train/average.h"
#include "engine/train/evaluate.h"
#include "engine/train/optimizer.h"
#include "engine/train/schedule.h"

namespace lamina {

// Where a run stands. Orders and masks are functions of (seed, epoch, step), so this is all.
struct TrainProgress {
  std::int64_t epoch = 0;   // epochs completed
  std::int64_t cursor = 0;  // samples done in the current epoch
  std::int64_t step = 0;    // batches done
  bool finished = false;    // the last epoch is done, or training stopped early
  bool stopped_early = false;
  double best_val_loss = 0;  // of early stopping; infinity before the first epoch
  std::int64_t stale_epochs = 0;
  MetricSums::Host epoch_sums;  // of the current epoch so far
  StepState device;             // as last read; the loss scale is what outlives an epoch
  double epoch_seconds = 0;
  PlateauState plateau;
  std::vector<std::pair<std::int64_t, double>> step_losses;
};

struct RunPaths {
  explicit RunPaths(std::filesystem::path folder);
  std::filesystem::path folder, config, state, weights, average, report, result, machine, events;
  std::filesystem::path diverged;  // why the run ended, where it has diverged
};

// What a checkpoint holds besides the progress. average may be null.
struct TrainedParts {
  Model* model;
  Optimizer* optimizer;
  Average* average;
};

TensorFile make_checkpoint(const TrainedParts& parts, const TrainProgress& progress);
TrainProgress load_checkpoint(const std::filesystem::path& path, const TrainedParts& parts);

// Of the checkpoint in a file, without the rest: step, loss.
std::vector<std::pair<std::int64_t, double>> load_step_losses(const std::filesystem::path& path);

}  // namespace lamina
