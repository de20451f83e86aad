// SPDX-License-Identifier: Apache-2.0
#include "engine/train/run_log.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "engine/core/error.h"
#include "engine/core/words.h"
#include "engine/files/atomic_file.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCsvHeader =
    "epoch,step,train_loss,train_acc,train_acc5,val_loss,val_acc,val_acc5,lr,seconds,"
    "images_per_second,data_wait\n";

// Shortest text that reads back to the same double.
std::string cell(double value) { return fmt::format("{}", value); }

std::string csv_line(const EpochRow& row) {
  return fmt::format("{},{},{},{},{},{},{},{},{},{:.3f},{:.1f},{:.3f}\n",
                     row.epoch,
                     row.step,
                     cell(row.train_loss),
                     cell(row.train_acc),
                     cell(row.train_acc5),
                     row.has_val ? cell(row.val_loss) : "",
                     row.has_val ? cell(row.val_acc) : "",
                     row.has_val ? cell(row.val_acc5) : "",
                     cell(row.lr),
                     row.seconds,
                     row.images_per_second,
                     row.data_wait);
}

// JSON has no NaN and no infinity.
std::string json_number(double value) { return std::isfinite(value) ? cell(value) : "null"; }

std::string json_line(const EpochRow& row) {
  return fmt::format(R"({{"epoch":{},"step":{},"train_loss":{},"train_acc":{},"train_acc5":{},)"
                     R"("val_loss":{},"val_acc":{},"val_acc5":{},)"
                     R"("lr":{},"seconds":{:.3f},"images_per_second":{:.1f},"data_wait":{:.3f}}})"
                     "\n",
                     row.epoch,
                     row.step,
                     json_number(row.train_loss),
                     json_number(row.train_acc),
                     json_number(row.train_acc5),
                     row.has_val ? json_number(row.val_loss) : "null",
                     row.has_val ? json_number(row.val_acc) : "null",
                     row.has_val ? json_number(row.val_acc5) : "null",
                     json_number(row.lr),
                     row.seconds,
                     row.images_per_second,
                     row.data_wait);
}

[[noreturn]] void fail_damaged(const fs::path& path, int line) {
  fail("'{}' is damaged in line {}; mend the line or remove the file to log without the past.",
       path.string(),
       line);
}

template <class T>
bool parse(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

// Empty validation cells mean that the run had no validation.
bool parse_row(std::string_view line, EpochRow& row) {
  const std::vector<std::string_view> cells = words_of(line);
  if (cells.size() != 12) return false;
  row.has_val = !cells[5].empty();
  const bool val = row.has_val ? parse(cells[5], row.val_loss) && parse(cells[6], row.val_acc) &&
                                     parse(cells[7], row.val_acc5)
                               : cells[6].empty() && cells[7].empty();
  return val && parse(cells[0], row.epoch) && parse(cells[1], row.step) &&
         parse(cells[2], row.train_loss) && parse(cells[3], row.train_acc) &&
         parse(cells[4], row.train_acc5) && parse(cells[8], row.lr) &&
         parse(cells[9], row.seconds) && parse(cells[10], row.images_per_second) &&
         parse(cells[11], row.data_wait);
}

// Whole lines only: what follows the last newline was being written when the run died.
std::vector<EpochRow> read_rows(const fs::path& path, int keep_epochs) {
  const std::string text = read_text_file(path);
  std::string_view rest = text;
  if (!rest.starts_with(kCsvHeader)) {
    if (rest.find('\n') == std::string_view::npos) return {};
    fail_damaged(path, 1);
  }
  rest.remove_prefix(kCsvHeader.size());
  std::vector<EpochRow> rows;
  int line = 2;
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    EpochRow row;
    if (!parse_row(rest.substr(0, end), row)) fail_damaged(path, line);
    if (!rows.empty() && row.epoch <= rows.back().epoch) fail_damaged(path, line);
    if (row.epoch > keep_epochs) break;
    rows.push_back(row);
    rest.remove_prefix(end + 1);
    ++line;
  }
  return rows;
}

}  // namespace

std::vector<EpochRow> read_log(const fs::path& folder) {
  return read_rows(folder / "log.csv", std::numeric_limits<int>::max());
}

RunLog::RunLog(fs::path folder, int keep_epochs)
    : csv_(folder / "log.csv"), jsonl_(folder / "log.jsonl") {
  std::error_code ignored;
  if (keep_epochs > 0 && fs::exists(csv_, ignored)) rows_ = read_rows(csv_, keep_epochs);
  std::string csv(kCsvHeader), jsonl;
  for (const EpochRow& row : rows_) {
    csv += csv_line(row);
    jsonl += json_line(row);
  }
  write_file_atomically(csv_, csv);
  write_file_atomically(jsonl_, jsonl);
}

void RunLog::append(const EpochRow& row) {
  const std::string line = csv_line(row);
  append_to_file(csv_, line);
  append_to_file(jsonl_, json_line(row));
  // As the file has it, so that a run that goes on knows no other numbers than one left alone.
  rows_.emplace_back();
  parse_row(std::string_view(line).substr(0, line.size() - 1), rows_.back());
}

}  // namespace lamina
