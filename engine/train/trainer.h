// The training run: epochs over a resident data set, validation, early stopping, checkpoints, logs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/train/checkpoint.h"
#include "engine/train/divergence.h"
#include "engine/train/early_stopping.h"
#include "engine/train/report.h"
#include "engine/train/run_log.h"
#include "engine/train/tensorboard.h"

namespace lamina {

struct BatchEvent {
  std::int64_t epoch, epochs;  // counting from 1
  std::int64_t samples, of;    // in this epoch
  double loss, accuracy;       // running, over this epoch
  double images_per_second;
  double lr;         // of the next update
  double data_wait;  // share of the epoch so far in which the device waited for data
};

// What the caller is told, and asked. All may be empty.
struct TrainHooks {
  std::function<void(const BatchEvent&)> on_batch;  // a few times a second
  std::function<void(const EpochRow&)> on_epoch;
  std::function<void(const std::string&)> on_message;
  std::function<bool()> stop_requested;  // asked after every step
};

struct TrainOutcome {
  bool interrupted = false;  // stop_requested; the state was saved
  bool stopped_early = false;
  EvalResult test;
  std::vector<EpochRow> epochs;
};

class Trainer {
 public:
  // folder: of the run, existing and writable. The data sets are on the host; images are uploaded.
  Trainer(Context& ctx,
          const TrainConfig& config,
          Graph graph,
          const Dataset& train,
          const Dataset& test,
          std::filesystem::path folder);
  ~Trainer();

  // Starts from these weights, not from drawn ones; before run(). The text says which tensors stay
  // drawn, see start_weights.h.
  std::string start_from(TensorFile weights, const std::string& origin);

  // resume: continue from <folder>/state.safetensors when it is there.
  // A run that has diverged throws (divergence.h) and leaves <folder>/diverged.txt.
  TrainOutcome run(const TrainHooks& hooks, bool resume);

  std::vector<std::pair<std::string, std::string>> memory_rows() const;
  std::size_t memory_bytes() const;  // of all these rows

 private:
  struct Machine;                                                   // the model and its programs
  std::vector<std::pair<std::string, std::size_t>> memory() const;  // what, bytes
  TrainOutcome train(const TrainHooks& hooks, bool resume);
  TrainedParts parts() const;
  std::int64_t updates_per_epoch() const;
  std::int64_t update_of(std::int64_t step) const;  // to which this batch belongs
  double rate_at(std::int64_t step) const;
  void begin_epoch(TrainProgress& progress);
  void train_epoch(const TrainHooks& hooks, TrainProgress& progress, bool& interrupted);
  std::int64_t run_steps(const TrainProgress& progress);
  EpochRow finish_epoch(TrainProgress& progress);
  void write_results(TrainOutcome& outcome, const TrainProgress& progress);
  std::int64_t steps_to_pause(std::int64_t step) const;  // to the next checkpoint
  void read_device(TrainProgress& progress) const;
  void report_skips(const TrainHooks& hooks, const StepState& state, std::int64_t before) const;
  void save(const TrainProgress& progress);
  Diverged diverged_at(std::int64_t step, const std::string& what) const;

  Context* ctx_;
  TrainConfig config_;
  const Dataset* test_set_;
  RunPaths paths_;
  std::unique_ptr<Machine> machine_;
  EarlyStopping stopping_;
  std::unique_ptr<Schedule> schedule_;
  std::unique_ptr<RunLog> log_;
  std::unique_ptr<EventFile> events_;
  std::string started_;
  std::int64_t saved_step_ = 0;  // of the checkpoint on the disk
  double epoch_rate_ = 0;        // of the last update of the epoch
  double data_wait_ = 0;         // seconds of this epoch
};

}  // namespace lamina
