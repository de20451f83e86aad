// lamina train: trains a net on a data set, from flags, a recipe, or where an earlier run stopped.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <chrono>
#include <map>
#include <optional>
#include <sstream>

#include "engine/data/sha256.h"
#include "engine/files/atomic_file.h"
#include "engine/files/torch_file.h"
#include "engine/train/recipes.h"
#include "engine/train/trainer.h"
#include "nets/registry.h"
#include "tools/commands.h"
#include "tools/common.h"
#include "tools/progress.h"

namespace lamina::cli {

namespace {

struct TrainFlags {
  std::map<std::string, std::string> settings;  // config fields given on the command line
  std::vector<std::string> overrides;           // key=value
  std::string resume, out;
  bool overwrite = false, no_fuse = false, no_graph = false, deterministic = false;
};

TrainConfig resolve(const TrainFlags& flags) {
  const auto recipe = flags.settings.find("recipe");
  TrainConfig config =
      recipe != flags.settings.end() ? recipe_config(recipe->second) : TrainConfig{};
  for (const auto& [key, value] : flags.settings) {
    if (key != "recipe") config.set(key, value);
  }
  for (const std::string& text : flags.overrides) {
    const std::size_t equals = text.find('=');
    LAMINA_CHECK(equals != std::string::npos && equals > 0,
                 "'{}' is not a setting; write KEY=VALUE, for example lr=0.01.",
                 text);
    config.set(text.substr(0, equals), text.substr(equals + 1));
  }
  if (flags.no_fuse) config.fuse = false;
  if (flags.no_graph) config.record = false;
  config.check();
  return config;
}

std::string default_folder(const TrainConfig& config) {
  const auto seconds =
      std::chrono::system_clock::now().time_since_epoch() / std::chrono::seconds(1);
  return fmt::format("runs/{}-{}", config.net, seconds);
}

// The weights that the run starts from; the config keeps which file it was, bit for bit.
TensorFile read_start_weights(TrainConfig& config) {
  TensorFile weights = read_weights(config.weights);
  const std::string sum = sha256_of_file(config.weights);
  if (!config.weights_sha256.empty() && sum != config.weights_sha256) {
    fail("'{}' has the SHA-256 {}, but the run starts from {}; restore the file or start anew.",
         config.weights,
         sum,
         config.weights_sha256);
  }
  config.weights = std::filesystem::absolute(config.weights).string();
  config.weights_sha256 = sum;
  return weights;
}

// The config keeps what the net was built with, so that the run can be resumed.
Graph build_configured(TrainConfig& config, const Dataset& dataset) {
  NetFlags flags{.classes = config.classes,
                 .size = config.size,
                 .channels = config.channels,
                 .width = config.width};
  std::stringstream others(config.net_options);
  for (std::string other; others >> other;) flags.others.push_back(other);
  NetOpts opts = flags.opts();
  Graph graph = build_net_for(config.net, opts, dataset);
  config.classes = opts.classes;
  config.channels = opts.channels;
  return graph;
}

void train(const TrainFlags& flags) {
  const bool resume = !flags.resume.empty();
  LAMINA_CHECK(!resume || (flags.settings.empty() && flags.overrides.empty() && flags.out.empty() &&
                           !flags.overwrite),
               "--resume takes every setting from the run; leave the other settings, --out and "
               "--overwrite away.");
  TrainConfig config;
  std::string folder = flags.resume;
  if (resume) {
    const RunPaths paths(folder);
    LAMINA_CHECK(
        std::filesystem::exists(paths.config),
        "{}: there is no run to resume (config.json is missing); name the folder given as --out.",
        folder);
    config = TrainConfig::from_json(read_text_file(paths.config), paths.config.string());
    config.check();
  } else {
    config = resolve(flags);
    folder = flags.out.empty() ? default_folder(config) : flags.out;
  }
  const RunPaths paths(folder);

  // Everything that can be wrong with the request is found before anything is written.
  const DataOpts data{config.data_dir, static_cast<std::uint64_t>(config.seed), config.limit};
  const Dataset train_set = load_dataset(config.data, Part::train, data);
  const Dataset test_set = load_dataset(config.data, Part::test, data);
  Graph graph = build_configured(config, train_set);
  // A checkpoint holds all that the file gave.
  std::optional<TensorFile> weights;
  if (!config.weights.empty() && !(resume && std::filesystem::exists(paths.state)))
    weights = read_start_weights(config);
  Context ctx = open_device(
      config.device, config.threads, precision_from_name(config.precision), config.autotune);
  if (!resume) {
    LAMINA_CHECK(flags.overwrite || !std::filesystem::exists(paths.config),
                 "{}: holds a run already; continue it with --resume {}, or give --overwrite or "
                 "another --out.",
                 folder,
                 folder);
  }
  make_folder(folder);
  Trainer trainer(ctx, config, std::move(graph), train_set, test_set, folder);
  if (weights) {
    const std::string fresh = trainer.start_from(std::move(*weights), config.weights);
    if (!fresh.empty()) fmt::print(stderr, "{}\n", fresh);
  }
  if (!resume) {
    for (const auto& old : {paths.state, paths.weights, paths.average, paths.report, paths.result})
      std::filesystem::remove(old);
    write_file_atomically(paths.config, config.to_json());
  }

  fmt::print(stderr,
             "{} on {}: {} training images ({}), batch {}\n",
             config.net,
             train_set.name,
             train_set.count,
             train_set.origin,
             config.batch_size);
  for (const auto& [name, size] : trainer.memory_rows())
    fmt::print(stderr, "  {:<34}{:>10}\n", name, size);

  catch_interrupts();
  Progress progress;
  const TrainHooks hooks{.on_batch = [&](const BatchEvent& event) { progress.batch(event); },
                         .on_epoch = [&](const EpochRow& row) { progress.epoch(row); },
                         .on_message = [&](const std::string& text) { progress.message(text); },
                         .stop_requested = interrupted};
  const TrainOutcome outcome = trainer.run(hooks, resume);
  if (outcome.interrupted) {
    fmt::print("stopped; continue with: lamina train --resume {}\n", folder);
    return;
  }
  if (outcome.stopped_early) fmt::print("stopped early after epoch {}\n", outcome.epochs.size());
  fmt::print("test accuracy {:.2f}%  loss {:.4f}  ({} images)\n",
             100 * outcome.test.sums.accuracy(),
             outcome.test.sums.loss(),
             test_set.count);
  fmt::print("weights {}\nreport  {}\n", paths.weights.string(), paths.report.string());
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train", "train a network");
  auto flags = std::make_shared<TrainFlags>();
  for (const ConfigField& field : config_fields()) {
    std::string name = "--" + std::string(field.key);
    std::replace(name.begin(), name.end(), '_', '-');
    if (field.alias[0] != '\0') name += ",--" + std::string(field.alias);
    const std::string key = field.key;
    if (key == "fuse") continue;
    if (std::holds_alternative<bool TrainConfig::*>(field.member)) {
      command->add_flag_function(
          name, [flags, key](std::int64_t) { flags->settings[key] = "true"; }, field.help);
    } else {
      command->add_option_function<std::string>(
          name,
          [flags, key](const std::string& value) { flags->settings[key] = value; },
          field.help);
    }
  }
  command->add_flag("--no-fuse", flags->no_fuse, "run every layer by itself");
  command->add_flag("--no-graph", flags->no_graph, "launch every kernel of every step by itself");
  command->add_flag("--deterministic",
                    flags->deterministic,
                    "repeat bit for bit; always so: other engines are never taken");
  command->add_option("--out", flags->out, "folder of the run (default: runs/NET-TIME)");
  command->add_flag("--overwrite", flags->overwrite, "replace the run that --out holds");
  command->add_option("--resume", flags->resume, "continue the run in this folder");
  command->add_option("settings", flags->overrides, "further settings as KEY=VALUE");
  command->callback([flags] { train(*flags); });
}

}  // namespace lamina::cli
