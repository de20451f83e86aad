// Training steps of a net, timed as wholes or layer by layer; for `lamina bench` and `profile`.
//
// A step is everything training does with a resident data set: prepare (gather, normalise, resize),
// forward, loss, backward, optimizer, counters.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "engine/data/dataset.h"
#include "engine/train/batch_walk.h"
#include "engine/train/evaluate.h"
#include "engine/train/optimizer.h"
#include "engine/train/train_step.h"
#include "tools/common.h"

namespace lamina::cli {

struct StepBenchOpts {
  std::int64_t batch = 64;
  PassSet passes;
  std::optional<std::size_t> memory;  // see ProgramOpts
  std::string optimizer = "adam", precision = "fp32";
  bool record = true;     // steps as one CUDA graph
  bool cpu_time = false;  // of all threads, in place of wall time
};

// What a net is trained with, as flags.
struct StepBenchFlags {
  std::string device = "auto", optimizer = "adam", precision = "fp32";
  std::int64_t batch = 64, threads = 0, steps = 0, warmup = 0;
  NetFlags options;
  PassFlags passes;
  bool no_winograd = false, autotune = false;

  void add_to(CLI::App& command);
  void check() const;
  Context open() const;
  StepBenchOpts opts() const;
};

// So many images of noise, of the shape that the net takes.
Dataset random_images(const Shape& sample, std::int64_t classes, std::int64_t count);

class StepBench {
 public:
  StepBench(Context& ctx, Graph graph, const Dataset& images, const StepBenchOpts& opts);

  const Program& program() { return *walk_.programs().front(); }

  // Milliseconds of one step, without a clock inside. A recorded block of steps is timed as a
  // whole.
  double step();

  // What a step spends its time on, in order: "prepare", the passes of the layers, "loss",
  // "optimizer". The device is waited for around each of them.
  struct Span {
    std::string name;
    const char* pass;   // as Program's observer calls it, or ""
    double begin, end;  // ms, from an arbitrary time on
  };
  std::vector<Span> step_by_layers();

 private:
  StepState* device_state() const { return static_cast<StepState*>(state_.data()); }
  void reset_state();
  double now() const;

  Context* ctx_;
  bool cpu_time_;
  Model model_;
  DeviceDataset data_;
  BatchWalk walk_;
  Optimizer optimizer_;
  MetricSums metrics_;
  Buffer state_, arena_;
  TrainStep step_;
  std::int64_t cursor_ = 0;
};

double median(std::vector<double> values);

}  // namespace lamina::cli
