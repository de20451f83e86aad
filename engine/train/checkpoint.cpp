// SPDX-License-Identifier: Apache-2.0
#include "engine/train/checkpoint.h"

#include <algorithm>

namespace lamina {

namespace {

// Numbers travel as tensors, so that doubles come back bit for bit.
constexpr const char* kCounters = "progress.counters";
constexpr const char* kSums = "progress.sums";
constexpr const char* kLosses = "progress.step_losses";
constexpr const char* kModelPrefix = "model.";

const HostTensor& require(const TensorFile& file,
                          const char* name,
                          std::size_t elements,
                          const std::string& origin) {
  const HostTensor* tensor = file.find(name);
  if (tensor == nullptr || static_cast<std::size_t>(tensor->numel()) != elements) {
    fail("{}: '{}' is missing or misshaped; it is not the state of a training run.", origin, name);
  }
  return *tensor;
}

}  // namespace

RunPaths::RunPaths(std::filesystem::path run)
    : folder(std::move(run)),
      config(folder / "config.json"),
      state(folder / "state.safetensors"),
      weights(folder / "weights.safetensors"),
      report(folder / "report.html"),
      result(folder / "result.json") {}

void save_checkpoint(const std::filesystem::path& path,
                     const Model& model,
                     const Optimizer& optimizer,
                     const TrainProgress& p) {
  TensorFile file = model.state_dict();
  for (HostTensor& tensor : file.tensors) tensor.name = kModelPrefix + tensor.name;
  optimizer.save(file);

  HostTensor counters = make_host_tensor(kCounters, DType::i64, {10});
  const std::int64_t counts[] = {p.epoch,
                                 p.cursor,
                                 p.step,
                                 p.finished,
                                 p.stopped_early,
                                 p.stale_epochs,
                                 p.device.growth_interval,
                                 p.device.good_steps,
                                 p.device.skipped,
                                 p.device.last_overflow};
  std::copy(std::begin(counts), std::end(counts), counters.as<std::int64_t>().begin());
  HostTensor sums = make_host_tensor(kSums, DType::f64, {6});
  const double values[] = {p.best_val_loss,
                           p.epoch_sums.loss_sum,
                           p.epoch_sums.correct,
                           p.epoch_sums.samples,
                           p.epoch_seconds,
                           p.device.loss_scale};
  std::copy(std::begin(values), std::end(values), sums.as<double>().begin());
  const auto rows = static_cast<std::int64_t>(p.step_losses.size());
  HostTensor losses = make_host_tensor(kLosses, DType::f64, {rows, 2});
  for (std::size_t i = 0; i < p.step_losses.size(); ++i) {
    losses.as<double>()[2 * i] = static_cast<double>(p.step_losses[i].first);
    losses.as<double>()[2 * i + 1] = p.step_losses[i].second;
  }
  for (HostTensor* tensor : {&counters, &sums, &losses}) file.tensors.push_back(std::move(*tensor));
  file.metadata["format"] = "lamina training state 2";
  write_safetensors(path, file);
}

TrainProgress load_checkpoint(const std::filesystem::path& path,
                              Model& model,
                              Optimizer& optimizer) {
  const std::string origin = path.string();
  const TensorFile file = read_safetensors(path);
  TensorFile weights;
  const std::string prefix = kModelPrefix;
  for (const HostTensor& tensor : file.tensors) {
    if (!tensor.name.starts_with(prefix)) continue;
    weights.tensors.push_back(tensor);
    weights.tensors.back().name.erase(0, prefix.size());
  }
  model.load_state_dict(weights, origin);
  optimizer.load(file, origin);

  TrainProgress p;
  const auto counts = require(file, kCounters, 10, origin).as<std::int64_t>();
  p.epoch = counts[0];
  p.cursor = counts[1];
  p.step = counts[2];
  p.finished = counts[3] != 0;
  p.stopped_early = counts[4] != 0;
  p.stale_epochs = counts[5];
  p.device.growth_interval = static_cast<std::int32_t>(counts[6]);
  p.device.good_steps = static_cast<std::int32_t>(counts[7]);
  p.device.skipped = counts[8];
  p.device.last_overflow = counts[9];
  const auto sums = require(file, kSums, 6, origin).as<double>();
  p.best_val_loss = sums[0];
  p.epoch_sums = {sums[1], sums[2], sums[3]};
  p.epoch_seconds = sums[4];
  p.device.loss_scale = static_cast<float>(sums[5]);
  const HostTensor* losses = file.find(kLosses);
  if (losses != nullptr && losses->dtype == DType::f64) {
    const auto rows = losses->as<double>();
    for (std::size_t i = 0; i + 1 < rows.size(); i += 2) {
      p.step_losses.emplace_back(static_cast<std::int64_t>(rows[i]), rows[i + 1]);
    }
  }
  return p;
}

}  // namespace lamina
