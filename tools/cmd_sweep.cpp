// lamina sweep: trains once for every combination of some settings and prints the table.
//
// Each run lies in a folder of its own; a sweep that was stopped goes on with the run it was at,
// and finished runs are not repeated. Runs that differ in their seed alone are one row. A run that
// diverges is counted, and the sweep goes on; the means are over the others.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "engine/core/words.h"
#include "engine/files/atomic_file.h"
#include "engine/train/recipes.h"
#include "engine/train/saved_run.h"
#include "tools/commands.h"
#include "tools/training.h"

namespace lamina::cli {

namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

struct SweepFlags {
  SettingFlags settings;
  std::vector<std::string> axes;  // KEY=VALUE,VALUE
  std::string out;
};

struct Axis {
  std::string key;
  std::vector<std::string> values;
};

std::vector<Axis> axes_of(const SweepFlags& flags) {
  std::vector<Axis> axes;
  const auto recipe = flags.settings.settings.find("recipe");
  if (recipe != flags.settings.settings.end()) {
    for (const auto& [key, values] : find_recipe(recipe->second).sweep)
      axes.push_back({key, values});
  }
  for (const std::string& text : flags.axes) {
    const std::size_t equals = text.find('=');
    LAMINA_CHECK(equals != std::string::npos && equals > 0 && equals + 1 < text.size(),
                 "'{}' is nothing to sweep over; write KEY=VALUE,VALUE, for example lr=0.1,0.01.",
                 text);
    Axis axis{text.substr(0, equals), {}};
    for (const std::string_view value : words_of(std::string_view(text).substr(equals + 1)))
      axis.values.emplace_back(value);
    const auto same =
        std::find_if(axes.begin(), axes.end(), [&](const Axis& a) { return a.key == axis.key; });
    if (same != axes.end())
      *same = axis;
    else
      axes.push_back(axis);
  }
  LAMINA_CHECK(!axes.empty(),
               "there is nothing to sweep over; give KEY=VALUE,VALUE, for example lr=0.1,0.01 "
               "seed=1,2,3, or a recipe with a sweep.");
  return axes;
}

// Every combination, the last axis fastest.
std::vector<Values> combinations(const std::vector<Axis>& axes) {
  std::vector<Values> all{{}};
  for (const Axis& axis : axes) {
    std::vector<Values> longer;
    for (const Values& values : all) {
      for (const std::string& value : axis.values) {
        longer.push_back(values);
        longer.back().emplace_back(axis.key, value);
      }
    }
    all = longer;
  }
  return all;
}

std::string text_of(const Values& values) {
  std::string text;
  for (const auto& [key, value] : values)
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value);
  return text.empty() ? "all" : text;
}

// As a file name.
std::string folder_name(const Values& values) {
  std::string name = text_of(values);
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

struct Result {
  double accuracy = 0, top5 = 0, loss = 0, epochs = 0, seconds = 0;
  bool diverged = false;
};

bool has_diverged(const std::string& folder) {
  return std::filesystem::exists(RunPaths(folder).diverged);
}

Result read_result(const std::string& folder) {
  const SavedRun run = read_run(folder);
  if (run.diverged()) return {.diverged = true};
  return {run.test_acc,
          run.test_acc5,
          run.test_loss,
          static_cast<double>(run.epochs.size()),
          run.seconds()};
}

// Trains the run or what is left of it, if it has not diverged; false when it was interrupted.
bool train_run(const TrainConfig& config, const std::string& folder) {
  const RunPaths paths(folder);
  bool resume = std::filesystem::exists(paths.config);
  if (resume) {
    const TrainConfig there = config_of_run(folder);
    const auto wanted = config_rows(config), have = config_rows(there);
    // The run resolved what the data and the file of weights decide; threads change no bit.
    const auto decided = [](const std::string& key) {
      return key == "classes" || key == "channels" || key == "threads" ||
             key.starts_with("weights");
    };
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      LAMINA_CHECK(decided(wanted[i].first) || wanted[i] == have[i],
                   "{}: holds a run with {} = {}, not {}; give another --out or remove it.",
                   folder,
                   wanted[i].first,
                   have[i].second,
                   wanted[i].second);
    }
    if (std::filesystem::exists(paths.result) || has_diverged(folder)) return true;
  }
  try {
    return !run_training(config, folder, {.resume = resume}).interrupted;
  } catch (const Diverged& error) {
    fmt::print(stderr, "{}\n", error.what());
    return true;
  }
}

// The runs that differ in their seed alone.
struct Row {
  Values values;
  std::vector<Result> results;  // of those that did not diverge
  std::size_t diverged = 0;

  void add(const Result& result) {
    if (result.diverged)
      ++diverged;
    else
      results.push_back(result);
  }

  double mean(double Result::*member) const {
    double sum = 0;
    for (const Result& result : results) sum += result.*member;
    return sum / static_cast<double>(results.size());
  }
};

std::string csv_line(const Values& values, const Result& result) {
  if (result.diverged) return fmt::format("\"{}\",,,,,,1\n", text_of(values));
  return fmt::format("\"{}\",{},{},{},{},{:.3f},0\n",
                     text_of(values),
                     result.accuracy,
                     result.top5,
                     result.loss,
                     result.epochs,
                     result.seconds);
}

std::string table_text(const std::vector<Row>& rows) {
  std::size_t width = 8;
  for (const Row& row : rows) width = std::max(width, text_of(row.values).size());
  std::string text = fmt::format(
      "{:<{}}  runs  accuracy (lowest to highest)     loss  epochs  seconds a run\n", "", width);
  for (const Row& row : rows) {
    const std::size_t runs = row.results.size() + row.diverged;
    const std::string diverged =
        row.diverged > 0 ? fmt::format("  {} of {} diverged", row.diverged, runs) : "";
    text += fmt::format("{:<{}}  {:4}", text_of(row.values), width, runs);
    if (row.results.empty()) {
      text += diverged + "\n";
      continue;
    }
    const auto [low, high] = std::minmax_element(
        row.results.begin(), row.results.end(), [](const Result& a, const Result& b) {
          return a.accuracy < b.accuracy;
        });
    text += fmt::format("  {:6.2f} % ({:.2f} to {:.2f})  {:9.4f}  {:6.3g}  {:8.1f}{}\n",
                        100 * row.mean(&Result::accuracy),
                        100 * low->accuracy,
                        100 * high->accuracy,
                        row.mean(&Result::loss),
                        row.mean(&Result::epochs),
                        row.mean(&Result::seconds),
                        diverged);
  }
  return text;
}

void sweep(const SweepFlags& flags) {
  const std::vector<Axis> axes = axes_of(flags);
  const TrainConfig base = flags.settings.resolve();
  // All of them before the first: a wrong value shows at once.
  std::vector<std::pair<Values, TrainConfig>> runs;
  for (const Values& values : combinations(axes)) {
    TrainConfig config = base;
    for (const auto& [key, value] : values) config.set(key, value);
    config.check();
    runs.emplace_back(values, config);
  }
  const std::string out = !flags.out.empty()
                              ? flags.out
                              : "runs/sweep-" + std::string(base.net.empty() ? "nets" : base.net);

  std::vector<Row> rows;
  std::string csv = "run,accuracy,accuracy_top5,loss,epochs,seconds,diverged\n";
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto& [values, config] = runs[i];
    const std::string folder = out + "/" + folder_name(values);
    fmt::print("run {} of {}: {}\n", i + 1, runs.size(), text_of(values));
    std::fflush(stdout);
    if (!train_run(config, folder)) {
      fmt::print("stopped; the same command goes on with this run.\n");
      return;
    }
    const Result result = read_result(folder);
    csv += csv_line(values, result);
    Values named = values;
    std::erase_if(named, [](const auto& value) { return value.first == "seed"; });
    auto same =
        std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.values == named; });
    if (same == rows.end()) same = rows.insert(same, Row{named, {}});
    same->add(result);
  }
  const std::string table = table_text(rows);
  write_file_atomically(out + "/sweep.csv", csv);
  write_file_atomically(out + "/sweep.txt", table);
  fmt::print("\n{}", table);
}

}  // namespace

void add_sweep(CLI::App& app) {
  CLI::App* command = app.add_subcommand("sweep", "train with every combination of some settings");
  auto flags = std::make_shared<SweepFlags>();
  flags->settings.add_to(*command);
  command->add_option("axes", flags->axes, "KEY=VALUE,VALUE, for example lr=0.1,0.01 seed=1,2,3");
  command->add_option("--out", flags->out, "folder of the runs (default: runs/sweep-NET)");
  command->callback([flags] { sweep(*flags); });
}

}  // namespace lamina::cli
