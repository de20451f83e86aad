// A run as the files of its folder tell it, finished or not: for reports and comparisons.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/train/config.h"
#include "engine/train/report.h"
#include "engine/train/run_log.h"

namespace lamina {

struct SavedRun {
  std::filesystem::path folder;
  std::string name;  // to tell it from the others: what their folders do not have in common
  TrainConfig config;
  std::vector<EpochRow> epochs;
  // Of result.json and machine.json, which a run has when it is finished.
  bool finished = false;
  std::string data;  // "mnist (/usr/share/...)"; else the name that was asked for
  double test_loss = 0, test_acc = 0, test_acc5 = 0;
  std::int64_t test_count = 0;
  std::vector<std::pair<std::string, std::string>> environment, memory;
  // Of the net; whoever can build it fills them in.
  std::int64_t parameters = 0, mult_adds = 0;

  std::string data_name() const;  // "mnist"
  std::string device() const;     // "" where it is not known
  double seconds() const;         // of training, without validation
  double images_per_second() const;
  // "finished", "diverged", "unfinished, 2 of 5 epochs"
  std::string status() const;
  bool diverged() const;  // its last loss is no number
};

// A failure where the folder holds no run or one of its files is damaged.
SavedRun read_run(const std::filesystem::path& folder);

// Folders of runs, and folders that hold such folders, as `lamina sweep` makes them.
std::vector<SavedRun> read_runs(std::span<const std::string> folders);

// The innermost folder that holds them all.
std::filesystem::path common_folder(std::span<const SavedRun> runs);

// What the files tell: all but the layers, the classes, the mistakes and the feature maps.
RunReport report_of(const SavedRun& run);

}  // namespace lamina
