// lamina train: trains a net on a data set, from flags, a recipe, or where an earlier run stopped.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <chrono>

#include "tools/commands.h"
#include "tools/training.h"

namespace lamina::cli {

namespace {

struct TrainFlags {
  SettingFlags settings;
  std::vector<std::string> overrides;  // key=value
  std::string resume, out;
  bool overwrite = false;
};

TrainConfig resolve(const TrainFlags& flags) {
  TrainConfig config = flags.settings.resolve();
  for (const std::string& text : flags.overrides) {
    const std::size_t equals = text.find('=');
    LAMINA_CHECK(equals != std::string::npos && equals > 0,
                 "'{}' is not a setting; write KEY=VALUE, for example lr=0.01.",
                 text);
    config.set(text.substr(0, equals), text.substr(equals + 1));
  }
  return config;
}

std::string default_folder(const TrainConfig& config) {
  const auto seconds =
      std::chrono::system_clock::now().time_since_epoch() / std::chrono::seconds(1);
  return fmt::format("runs/{}-{}", config.net, seconds);
}

void train(const TrainFlags& flags) {
  const bool resume = !flags.resume.empty();
  LAMINA_CHECK(!resume || (flags.settings.settings.empty() && flags.overrides.empty() &&
                           flags.out.empty() && !flags.overwrite),
               "--resume takes every setting from the run; leave the other settings, --out and "
               "--overwrite away.");
  const TrainConfig config = resume ? config_of_run(flags.resume) : resolve(flags);
  const std::string folder = resume              ? flags.resume
                             : flags.out.empty() ? default_folder(config)
                                                 : flags.out;
  const TrainOutcome outcome = run_training(config, folder, {resume, flags.overwrite});
  if (outcome.interrupted) {
    fmt::print("stopped; continue with: lamina train --resume {}\n", folder);
    return;
  }
  if (outcome.stopped_early) fmt::print("stopped early after epoch {}\n", outcome.epochs.size());
  fmt::print("test accuracy {:.2f}%  loss {:.4f}  ({:.0f} images)\n",
             100 * outcome.test.sums.accuracy(),
             outcome.test.sums.loss(),
             outcome.test.sums.samples);
  const RunPaths paths(folder);
  fmt::print("weights {}\nreport  {}\n", paths.weights.string(), paths.report.string());
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train", "train a network");
  auto flags = std::make_shared<TrainFlags>();
  flags->settings.add_to(*command);
  command->add_option("--out", flags->out, "folder of the run (default: runs/NET-TIME)");
  command->add_flag("--overwrite", flags->overwrite, "replace the run that --out holds");
  command->add_option("--resume", flags->resume, "continue the run in this folder");
  command->add_option("settings", flags->overrides, "further settings as KEY=VALUE");
  command->callback([flags] { train(*flags); });
}

}  // namespace lamina::cli
