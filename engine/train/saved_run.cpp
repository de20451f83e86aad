// SPDX-License-Identifier: Apache-2.0
#include "engine/train/saved_run.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/files/atomic_file.h"
#include "engine/train/checkpoint.h"
#include "engine/train/run_results.h"
#include "engine/train/tensorboard.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// JSON has no NaN and no infinity: null stands for both.
double number(const Json& json, const char* key) {
  const Json& value = json.at(key);
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

std::vector<std::pair<std::string, std::string>> rows(const Json& json, const char* key) {
  std::vector<std::pair<std::string, std::string>> rows;
  if (!json.contains(key)) return rows;
  for (const auto& [name, value] : json.at(key).items())
    rows.emplace_back(name, value.get<std::string>());
  return rows;
}

// Reads a JSON file of the run.
template <class Read>
void read_json(const fs::path& path, const fs::path& folder, const Read& read) {
  try {
    read(Json::parse(read_text_file(path)));
  } catch (const Json::exception&) {
    fail("'{}' is damaged; `lamina train --resume {}` writes it again.",
         path.string(),
         folder.string());
  }
}

void read_result(const Json& json, SavedRun& run) {
  run.data = json.at("data");
  run.test_acc = number(json, "test_accuracy");
  run.test_acc5 = number(json, "test_accuracy_top5");
  run.test_loss = number(json, "test_loss");
  run.test_count = json.at("test_images");
  run.finished = true;
}

bool is_run(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(RunPaths(folder).config, ignored);
}

std::vector<fs::path> runs_in(const fs::path& folder) {
  if (is_run(folder)) return {folder};
  std::vector<fs::path> runs;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    if (is_run(entry.path())) runs.push_back(entry.path());
  }
  std::sort(runs.begin(), runs.end());
  LAMINA_CHECK(
      !runs.empty(),
      "{}: holds no run (no config.json in it or in a folder of it); name the folder given "
      "as --out to `lamina train` or `lamina sweep`.",
      folder.string());
  return runs;
}

fs::path whole_path(const fs::path& folder) {
  return fs::absolute(folder / "").lexically_normal().parent_path();
}

}  // namespace

std::string SavedRun::data_name() const { return data.substr(0, data.find(" (")); }

std::string SavedRun::device() const {
  const auto found = std::find_if(environment.begin(), environment.end(), [](const auto& row) {
    return row.first == "device";
  });
  return found == environment.end() ? "" : found->second;
}

double SavedRun::seconds() const {
  double sum = 0;
  for (const EpochRow& row : epochs) sum += row.seconds;
  return sum;
}

double SavedRun::images_per_second() const {
  double images = 0;
  for (const EpochRow& row : epochs) images += row.images_per_second * row.seconds;
  return images / seconds();
}

bool SavedRun::diverged() const {
  std::error_code ignored;
  return fs::exists(RunPaths(folder).diverged, ignored) ||
         (!epochs.empty() && !std::isfinite(epochs.back().train_loss)) ||
         (finished && !std::isfinite(test_loss));
}

std::string SavedRun::status() const {
  if (diverged()) return "diverged";
  if (finished) return "finished";
  return fmt::format("unfinished, {} of {} epochs", epochs.size(), config.epochs);
}

SavedRun read_run(const fs::path& folder) {
  const RunPaths paths(folder);
  std::error_code ignored;
  LAMINA_CHECK(is_run(folder),
               "{}: there is no run (config.json is missing); name the folder given as --out.",
               folder.string());
  SavedRun run{
      .folder = folder,
      .config = TrainConfig::from_json(read_text_file(paths.config), paths.config.string())};
  run.name = whole_path(folder).filename().string();
  run.data = run.config.data;
  if (fs::exists(folder / "log.csv", ignored)) run.epochs = read_log(folder);
  if (fs::exists(paths.result, ignored))
    read_json(paths.result, folder, [&](const Json& json) { read_result(json, run); });
  if (run.finished && fs::exists(paths.machine, ignored)) {
    read_json(paths.machine, folder, [&](const Json& json) {
      run.memory = rows(json, "memory");
      run.environment = rows(json, "environment");
    });
  }
  return run;
}

std::vector<SavedRun> read_runs(std::span<const std::string> folders) {
  std::vector<SavedRun> runs;
  for (const std::string& folder : folders)
    for (const fs::path& path : runs_in(folder)) runs.push_back(read_run(path));
  const fs::path common = common_folder(runs);
  for (SavedRun& run : runs)
    run.name = whole_path(run.folder).lexically_relative(common).generic_string();
  return runs;
}

fs::path common_folder(std::span<const SavedRun> runs) {
  fs::path common;
  for (const SavedRun& run : runs) {
    const fs::path here = whole_path(run.folder).parent_path();
    if (&run == runs.data()) common = here;
    const auto [end, ignored] =
        std::mismatch(common.begin(), common.end(), here.begin(), here.end());
    fs::path shared;
    for (auto part = common.begin(); part != end; ++part) shared /= *part;
    common = shared;
  }
  return common;
}

RunReport report_of(const SavedRun& run) {
  const RunPaths paths(run.folder);
  RunReport report;
  report.title = fmt::format("{} on {}", run.config.net, run.data_name());
  if (!run.finished) report.title += fmt::format(" ({})", run.status());
  report.net = run.config.net;
  report.data = run.data;
  report.device = run.device();
  const double started = first_event_time(paths.events);
  if (started > 0) report.started = utc_text(static_cast<std::time_t>(started));
  report.config = config_rows(run.config);
  report.environment = run.environment;
  report.memory = run.memory;
  report.epochs = run.epochs;
  std::error_code ignored;
  if (fs::exists(paths.state, ignored)) report.step_losses = load_step_losses(paths.state);
  report.test_loss = run.test_loss;
  report.test_acc = run.test_acc;
  report.test_acc5 = run.test_acc5;
  report.test_count = run.test_count;
  report.parameters = run.parameters;
  report.mult_adds = run.mult_adds;
  return report;
}

}  // namespace lamina
