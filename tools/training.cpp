// SPDX-License-Identifier: Apache-2.0
#include "tools/training.h"

#include <algorithm>
#include <optional>
#include <sstream>

#include <CLI/CLI.hpp>

#include "engine/data/sha256.h"
#include "engine/files/atomic_file.h"
#include "engine/files/torch_file.h"
#include "engine/train/recipes.h"
#include "nets/registry.h"
#include "tools/common.h"
#include "tools/progress.h"

namespace lamina::cli {

namespace {

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
  NetOpts opts = net_flags(config).opts();
  Graph graph = build_net_for(config.net, opts, dataset);
  config.classes = opts.classes;
  config.channels = opts.channels;
  return graph;
}

// What mixed precision does and leaves alone.
std::string precision_text(Precision precision) {
  switch (precision) {
    case Precision::tf32:
      return "tf32: products of matrices and convolutions round their factors to 10 bits; all else "
             "is f32";
    case Precision::bf16:
      return "bf16: activations, filters and matrices are computed on in bf16; their f32 "
             "originals, "
             "statistics, sums and the loss stay in f32; no loss scale, the range is that of f32";
    case Precision::fp16:
      return "fp16: activations, filters and matrices are computed on in f16; their f32 originals, "
             "statistics, sums and the loss stay in f32; the loss is scaled, and an update with a "
             "gradient that overflows is skipped and halves the scale";
    default:
      return {};
  }
}

void remove_run(const RunPaths& paths) {
  for (const auto& old : {paths.state,
                          paths.weights,
                          paths.average,
                          paths.report,
                          paths.result,
                          paths.machine,
                          paths.events,
                          paths.diverged}) {
    std::filesystem::remove(old);
  }
}

}  // namespace

void SettingFlags::add_to(CLI::App& command) {
  for (const ConfigField& field : config_fields()) {
    std::string name = "--" + std::string(field.key);
    std::replace(name.begin(), name.end(), '_', '-');
    if (field.alias[0] != '\0') name += ",--" + std::string(field.alias);
    const std::string key = field.key;
    if (key == "fuse" || key == "winograd") continue;
    if (std::holds_alternative<bool TrainConfig::*>(field.member)) {
      command.add_flag_function(
          name, [this, key](std::int64_t) { settings[key] = "true"; }, field.help);
    } else {
      command.add_option_function<std::string>(
          name, [this, key](const std::string& value) { settings[key] = value; }, field.help);
    }
  }
  command.add_flag("--no-fuse", no_fuse, "run every layer by itself");
  command.add_flag("--no-winograd", no_winograd, "convolve directly only");
  command.add_flag("--no-graph", no_graph, "launch every kernel of every step by itself");
  command.add_flag("--deterministic",
                   deterministic,
                   "repeat bit for bit; always so: other engines are never taken");
}

TrainConfig SettingFlags::resolve() const {
  const auto recipe = settings.find("recipe");
  TrainConfig config = recipe != settings.end() ? recipe_config(recipe->second) : TrainConfig{};
  for (const auto& [key, value] : settings) {
    if (key != "recipe") config.set(key, value);
  }
  if (no_fuse) config.fuse = false;
  if (no_winograd) config.winograd = false;
  if (no_graph) config.record = false;
  return config;
}

NetFlags net_flags(const TrainConfig& config) {
  NetFlags flags{.classes = config.classes,
                 .size = config.size,
                 .channels = config.channels,
                 .width = config.width};
  std::stringstream others(config.net_options);
  for (std::string other; others >> other;) flags.others.push_back(other);
  return flags;
}

DataOpts data_opts(const TrainConfig& config) {
  return {.root = config.data_dir,
          .seed = static_cast<std::uint64_t>(config.seed),
          .limit = config.limit,
          .image_size = config.image_size,
          .skip_bad = config.skip_bad,
          .threads = config.threads,
          .store = image_store_from_name(config.image_store)};
}

TrainConfig config_of_run(const std::string& folder) {
  const RunPaths paths(folder);
  LAMINA_CHECK(
      std::filesystem::exists(paths.config),
      "{}: there is no run to resume (config.json is missing); name the folder given as --out.",
      folder);
  return TrainConfig::from_json(read_text_file(paths.config), paths.config.string());
}

TrainOutcome run_training(TrainConfig config, const std::string& folder, const RunOpts& opts) {
  config.check();
  const RunPaths paths(folder);
  const DataOpts data = data_opts(config);
  const Dataset train_set = load_with_notes(config.data, Part::train, data);
  const Dataset test_set = load_with_notes(config.data, Part::test, data);
  Graph graph = build_configured(config, train_set);
  // A checkpoint holds all that the file gave.
  std::optional<TensorFile> weights;
  if (!config.weights.empty() && !(opts.resume && std::filesystem::exists(paths.state)))
    weights = read_start_weights(config);
  Context ctx = open_device(config.device,
                            {.threads = config.threads,
                             .precision = precision_from_name(config.precision),
                             .autotune = config.autotune,
                             .winograd = config.winograd});
  if (!opts.resume) {
    LAMINA_CHECK(opts.overwrite || !std::filesystem::exists(paths.config),
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
  if (!opts.resume) {
    remove_run(paths);
    write_file_atomically(paths.config, config.to_json());
  }

  fmt::print(stderr,
             "{} on {}: {} training images ({}), batch {}\n",
             config.net,
             train_set.name,
             train_set.count,
             train_set.origin,
             config.batch_size);
  const std::string precision = precision_text(precision_from_name(config.precision));
  if (!precision.empty()) fmt::print(stderr, "  {}\n", precision);
  for (const auto& [name, size] : trainer.memory_rows())
    fmt::print(stderr, "  {:<34}{:>10}\n", name, size);

  catch_interrupts();
  Progress progress(trainer.memory_bytes());
  const TrainHooks hooks{.on_batch = [&](const BatchEvent& event) { progress.batch(event); },
                         .on_epoch = [&](const EpochRow& row) { progress.epoch(row); },
                         .on_message = [&](const std::string& text) { progress.message(text); },
                         .stop_requested = interrupted};
  return trainer.run(hooks, opts.resume);
}

}  // namespace lamina::cli
