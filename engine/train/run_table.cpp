// SPDX-License-Identifier: Apache-2.0
#include "engine/train/run_table.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/train/html_text.h"
#include "engine/train/wilson.h"

namespace lamina {
namespace {

constexpr const char* kDash = "\xE2\x80\x93";
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

using Runs = std::span<const SavedRun>;

// In thousands, millions or thousands of millions, as papers give them.
std::string short_count(std::int64_t count) {
  const auto value = static_cast<double>(count);
  if (count >= 1'000'000'000) return fmt::format("{:.2f}\xC2\xA0G", value / 1e9);
  if (count >= 1'000'000) return fmt::format("{:.2f}\xC2\xA0M", value / 1e6);
  return grouped(count);
}

bool tested(const SavedRun& run) { return run.finished && run.test_count > 0; }

double per_epoch(const SavedRun& run) {
  return run.epochs.empty() ? kNone : run.seconds() / static_cast<double>(run.epochs.size());
}

// Whether the accuracies are of one task, and the times those of one amount of work.
bool one_data_set(Runs runs) {
  return std::all_of(runs.begin(), runs.end(), [&](const SavedRun& run) {
    return run.data_name() == runs[0].data_name() && run.config.limit == runs[0].config.limit;
  });
}

// Of the finished ones; of the others it is not known.
bool one_device(Runs runs) {
  std::string first;
  for (const SavedRun& run : runs) {
    const std::string device = run.device();
    if (first.empty()) first = device;
    if (!device.empty() && device != first) return false;
  }
  return true;
}

// Marks the cells with the least or the greatest value, of finished runs, where they differ.
void mark_best(Runs runs,
               const std::function<double(const SavedRun&)>& value,
               bool greatest,
               RunColumn& column) {
  double best = kNone, worst = kNone;
  const auto counts = [&](const SavedRun& run) {
    return run.finished && !run.diverged() && std::isfinite(value(run));
  };
  for (const SavedRun& run : runs) {
    if (!counts(run)) continue;
    const double v = value(run);
    if (!(best == best) || (greatest ? v > best : v < best)) best = v;
    if (!(worst == worst) || (greatest ? v < worst : v > worst)) worst = v;
  }
  if (best == worst) return;  // nothing to choose from
  for (std::size_t i = 0; i < runs.size(); ++i)
    column.cells[i].best = counts(runs[i]) && value(runs[i]) == best;
}

RunColumn column_of(Runs runs,
                    std::string title,
                    bool number,
                    const std::function<std::string(const SavedRun&)>& text,
                    bool setting = false) {
  RunColumn column{.title = std::move(title), .number = number, .setting = setting, .cells = {}};
  for (const SavedRun& run : runs) {
    const std::string shown = text(run);
    column.cells.push_back({shown.empty() ? kDash : shown});
  }
  return column;
}

RunColumn accuracy_column(Runs runs) {
  RunColumn column{.title = "test accuracy", .cells = {}};
  for (const SavedRun& run : runs) {
    if (!tested(run)) {
      column.cells.push_back({kDash, run.diverged() ? "diverged" : "unfinished"});
      continue;
    }
    const auto [low, high] = wilson_interval(run.test_acc, run.test_count);
    const std::string interval = fmt::format("{:.2f} to {:.2f}", 100 * low, 100 * high);
    column.cells.push_back(
        {percent(run.test_acc), run.diverged() ? "diverged, " + interval : interval});
  }
  if (one_data_set(runs)) {
    mark_best(
        runs, [](const SavedRun& run) { return tested(run) ? run.test_acc : kNone; }, true, column);
  }
  return column;
}

RunColumn epochs_column(Runs runs) {
  return column_of(runs, "epochs", true, [](const SavedRun& run) {
    const auto done = static_cast<std::int64_t>(run.epochs.size());
    return done == run.config.epochs ? grouped(done)
                                     : fmt::format("{} of {}", done, run.config.epochs);
  });
}

// As wide as the terminal shows it: one column a code point.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string with_spaces(std::string text) {
  for (std::size_t at = text.find("\xC2\xA0"); at != std::string::npos; at = text.find("\xC2\xA0"))
    text.replace(at, 2, " ");
  return text;
}

// With its note, and a star in front of the best.
std::string cell_text(const RunCell& cell) {
  return with_spaces((cell.best ? "* " : "") + cell.text +
                     (cell.note.empty() ? "" : " (" + cell.note + ")"));
}

// The text that all cells have which say anything; "" where they differ.
std::string shared_text(const RunColumn& column) {
  std::string text;
  for (const RunCell& cell : column.cells) {
    if (cell.text == kDash) continue;
    if (!text.empty() && cell.text != text) return "";
    text = cell.text;
  }
  return text;
}

std::string facts_text(const std::vector<RunColumn>& columns) {
  std::string text;
  for (const RunColumn& column : columns)
    text += fmt::format("{:<14} {}\n", column.title, cell_text(column.cells[0]));
  return text;
}

}  // namespace

std::vector<RunColumn> run_columns(Runs runs) {
  std::vector<RunColumn> columns;
  const auto words = [&](const char* title, bool setting, auto text) {
    columns.push_back(column_of(runs, title, false, text, setting));
  };
  const auto figures = [&](const char* title, auto value, auto text, bool greatest, bool marked) {
    columns.push_back(column_of(runs, title, true, text));
    if (marked) mark_best(runs, value, greatest, columns.back());
  };
  const bool timed = one_device(runs) && one_data_set(runs);
  words("run", false, [](const SavedRun& run) { return run.name; });
  words("net", false, [](const SavedRun& run) { return run.config.net; });
  words("data", true, [](const SavedRun& run) { return run.data_name(); });
  columns.push_back(accuracy_column(runs));
  figures(
      "parameters",
      [](const SavedRun& run) { return static_cast<double>(run.parameters); },
      [](const SavedRun& run) { return short_count(run.parameters); },
      false,
      true);
  figures(
      "mult-adds",
      [](const SavedRun& run) { return static_cast<double>(run.mult_adds); },
      [](const SavedRun& run) { return short_count(run.mult_adds); },
      false,
      true);
  columns.push_back(epochs_column(runs));
  figures(
      "time",
      [](const SavedRun& run) { return run.seconds(); },
      [](const SavedRun& run) { return run.epochs.empty() ? "" : duration_text(run.seconds()); },
      false,
      timed);
  figures(
      "an epoch",
      per_epoch,
      [](const SavedRun& run) { return duration_text(per_epoch(run)); },
      false,
      timed);
  figures(
      "images/s",
      [](const SavedRun& run) { return run.images_per_second(); },
      [](const SavedRun& run) {
        const double rate = run.images_per_second();
        return std::isfinite(rate) ? grouped(std::llround(rate)) : "";
      },
      true,
      timed);
  const auto setting = [&](const char* title, bool number, auto text) {
    columns.push_back(column_of(runs, title, number, text, true));
  };
  setting("lr", true, [](const SavedRun& run) { return significant(run.config.lr); });
  setting("optimizer", false, [](const SavedRun& run) { return run.config.optimizer; });
  setting("batch", true, [](const SavedRun& run) { return grouped(run.config.batch_size); });
  setting("seed", true, [](const SavedRun& run) { return fmt::format("{}", run.config.seed); });
  setting("device", false, [](const SavedRun& run) { return run.device(); });
  return columns;
}

std::string take_shared(std::vector<RunColumn>& columns) {
  std::string shared;
  std::erase_if(columns, [&](const RunColumn& column) {
    const std::string same = column.setting ? shared_text(column) : "";
    if (!same.empty()) shared += (shared.empty() ? "" : ", ") + column.title + " " + same;
    return !same.empty();
  });
  return shared;
}

std::vector<std::string> run_table_legend(Runs runs) {
  std::vector<std::string> text{
      "Accuracy: with its 95\xC2\xA0% interval by Wilson, which covers the choice of the test "
      "images "
      "and not that of the seed.",
      "Time: of training, without validation."};
  if (runs.size() == 1) return text;
  text.emplace_back("Star: the best finished run of the column.");
  if (!one_data_set(runs))
    text.emplace_back("The runs had different images: accuracies and times are not ranked.");
  if (!one_device(runs))
    text.emplace_back("The runs were on different devices: times are not ranked.");
  return text;
}

std::string run_table_text(Runs runs) {
  if (runs.empty()) return "";
  std::vector<RunColumn> columns = run_columns(runs);
  if (runs.size() == 1) return facts_text(columns);
  const std::string shared = with_spaces(take_shared(columns));
  std::string head;
  std::vector<std::string> lines(runs.size());
  for (const RunColumn& column : columns) {
    std::size_t width = column.title.size();
    for (const RunCell& cell : column.cells) width = std::max(width, width_of(cell_text(cell)));
    const std::string gap = head.empty() ? "" : "  ";
    const auto add = [&](std::string& line, const std::string& text) {
      const std::string room(width - width_of(text), ' ');
      line += gap;
      line += column.number ? room : text;
      line += column.number ? text : room;
    };
    add(head, column.title);
    for (std::size_t i = 0; i < runs.size(); ++i) add(lines[i], cell_text(column.cells[i]));
  }
  std::string text = shared.empty() ? "" : fmt::format("All runs: {}.\n\n", shared);
  const auto add_line = [&](std::string line) {
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add_line(head);
  for (const std::string& line : lines) add_line(line);
  text += "\n";
  for (const std::string& sentence : run_table_legend(runs)) text += with_spaces(sentence) + "\n";
  return text;
}

std::string run_table_json(Runs runs) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const SavedRun& run : runs) {
    nlohmann::ordered_json row{{"run", run.name},
                               {"folder", run.folder.string()},
                               {"status", run.status()},
                               {"net", run.config.net},
                               {"data", run.data_name()},
                               {"parameters", run.parameters},
                               {"mult_adds", run.mult_adds},
                               {"epochs", run.epochs.size()},
                               {"epochs_planned", run.config.epochs},
                               {"seconds", run.seconds()},
                               {"seconds_per_epoch", per_epoch(run)},
                               {"images_per_second", run.images_per_second()}};
    row["test_accuracy"] = tested(run) ? run.test_acc : kNone;
    row["test_accuracy_interval"] = nullptr;
    if (tested(run)) {
      const auto [low, high] = wilson_interval(run.test_acc, run.test_count);
      row["test_accuracy_interval"] = {low, high};
    }
    row["test_loss"] = tested(run) ? run.test_loss : kNone;
    row["test_images"] = run.test_count;
    row["lr"] = run.config.lr;
    row["optimizer"] = run.config.optimizer;
    row["batch_size"] = run.config.batch_size;
    row["seed"] = run.config.seed;
    row["device"] = run.device();
    rows.push_back(row);
  }
  return rows.dump(2) + "\n";  // what is no number becomes null
}

}  // namespace lamina
