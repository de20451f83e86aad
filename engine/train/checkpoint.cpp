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

std::vector<std::pair<std::int64_t, double>> step_losses_of(const TensorFile& file) {
  std::vector<std::pair<std::int64_t, double>> step_losses;
  const HostTensor* losses = file.find(kLosses);
  if (losses != nullptr && losses->dtype == DType::f64) {
    const auto rows = losses->as<double>();
    for (std::size_t i = 0; i + 1 < rows.size(); i += 2) {
      step_losses.emplace_back(static_cast<std::int64_t>(rows[i]), rows[i + 1]);
    }
  }
  return step_losses;
}

}  // namespace

RunPaths::RunPaths(std::filesystem::path run)
    : folder(std::move(run)),
      config(folder / "config.json"),
      state(folder / "state.safetensors"),
      weights(folder / "weights.safetensors"),
      average(folder / "average.safetensors"),
      report(folder / "report.html"),
      result(folder / "result.json"),
      machine(folder / "machine.json"),
      events(folder / "events.out.tfevents.lamina"),
      diverged(folder / "diverged.txt") {}

TensorFile make_checkpoint(const TrainedParts& parts, const TrainProgress& p) {
  TensorFile file = parts.model->state_dict();
  for (HostTensor& tensor : file.tensors) tensor.name = kModelPrefix + tensor.name;
  parts.optimizer->save(file);
  if (parts.average != nullptr) parts.average->save(file);

  const auto add = [&]<class T>(const char* name, std::initializer_list<T> values) {
    HostTensor tensor =
        make_host_tensor(name, dtype_of<T>::value, {static_cast<std::int64_t>(values.size())});
    std::copy(values.begin(), values.end(), tensor.template as<T>().begin());
    file.tensors.push_back(std::move(tensor));
  };
  add(kCounters,
      std::initializer_list<std::int64_t>{p.epoch,
                                          p.cursor,
                                          p.step,
                                          p.finished,
                                          p.stopped_early,
                                          p.stale_epochs,
                                          p.device.growth_interval,
                                          p.device.good_steps,
                                          p.device.skipped,
                                          p.device.last_overflow,
                                          p.device.updates,
                                          p.plateau.stale});
  add(kSums,
      std::initializer_list<double>{p.best_val_loss,
                                    p.epoch_sums.loss_sum,
                                    p.epoch_sums.correct,
                                    p.epoch_sums.samples,
                                    p.epoch_sums.in_five,
                                    p.epoch_seconds,
                                    p.device.loss_scale,
                                    p.plateau.rate,
                                    p.plateau.best});
  const auto rows = static_cast<std::int64_t>(p.step_losses.size());
  HostTensor losses = make_host_tensor(kLosses, DType::f64, {rows, 2});
  for (std::size_t i = 0; i < p.step_losses.size(); ++i) {
    losses.as<double>()[2 * i] = static_cast<double>(p.step_losses[i].first);
    losses.as<double>()[2 * i + 1] = p.step_losses[i].second;
  }
  file.tensors.push_back(std::move(losses));
  file.metadata["format"] = "lamina training state 3";
  return file;
}

TrainProgress load_checkpoint(const std::filesystem::path& path, const TrainedParts& parts) {
  const std::string origin = path.string();
  const TensorFile file = read_safetensors(path);
  parts.model->load_state_dict(without_prefix(file, kModelPrefix), origin);
  parts.optimizer->load(file, origin);
  if (parts.average != nullptr) parts.average->load(file, origin);

  TrainProgress p;
  const auto counts = require(file, kCounters, 12, origin).as<std::int64_t>();
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
  p.device.updates = counts[10];
  p.plateau.stale = counts[11];
  const auto sums = require(file, kSums, 9, origin).as<double>();
  p.best_val_loss = sums[0];
  p.epoch_sums = {sums[1], sums[2], sums[3], sums[4]};
  p.epoch_seconds = sums[5];
  p.device.loss_scale = static_cast<float>(sums[6]);
  p.plateau.rate = sums[7];
  p.plateau.best = sums[8];
  p.step_losses = step_losses_of(file);
  return p;
}

std::vector<std::pair<std::int64_t, double>> load_step_losses(const std::filesystem::path& path) {
  return step_losses_of(read_safetensors(path));
}

}  // namespace lamina
