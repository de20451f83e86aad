// Running one training in a folder, for `lamina train` and `lamina sweep`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/train/trainer.h"
#include "tools/common.h"

namespace CLI {  // NOLINT: the name is the library's
class App;
}

namespace lamina::cli {

// The settings of a run as flags: --KEY VALUE for every field of the config.
struct SettingFlags {
  std::map<std::string, std::string> settings;
  bool no_fuse = false, no_winograd = false, no_graph = false, deterministic = false;

  void add_to(CLI::App& command);
  // The recipe's settings, if one was named, with the flags' over them. Not yet checked.
  TrainConfig resolve() const;
};

// Trains as the config says and writes the run to `folder`; resume: goes on where it stopped. What
// can be wrong with the request is found before anything is written.
struct RunOpts {
  bool resume = false;
  bool overwrite = false;  // a run that the folder holds
};
TrainOutcome run_training(TrainConfig config, const std::string& folder, const RunOpts& opts);

// What the config says about the net, as flags.
NetFlags net_flags(const TrainConfig& config);

// What it says about the data set.
DataOpts data_opts(const TrainConfig& config);

// The config of the run in a folder.
TrainConfig config_of_run(const std::string& folder);

}  // namespace lamina::cli
