// A comparison as text, CSV and JSON.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/files/damage.h"
#include "tools/kernels/bench_table.h"
#include "tools/kernels/compare.h"

namespace lamina::kernel_bench {
namespace {

// What needs somebody's attention comes first; otherwise as measured.
std::vector<const ComparedRow*> by_urgency(const Comparison& comparison) {
  std::vector<const ComparedRow*> rows;
  for (const VerdictKind kind :
       {VerdictKind::slower, VerdictKind::ambiguous, VerdictKind::faster, VerdictKind::same}) {
    for (const ComparedRow& row : comparison.rows) {
      if (row.verdict.kind == kind) rows.push_back(&row);
    }
  }
  return rows;
}

std::string listed(const std::vector<std::string>& keys, const char* what) {
  std::string text;
  for (const std::string& key : keys) text += fmt::format("{}  {}\n", what, printable(key));
  return text;
}

}  // namespace

std::string summary_line(const Comparison& comparison) {
  return fmt::format("{} rows: {} SLOWER, {} FASTER, {} SAME, {} AMBIGUOUS{}.",
                     comparison.rows.size(),
                     comparison.count(VerdictKind::slower),
                     comparison.count(VerdictKind::faster),
                     comparison.count(VerdictKind::same),
                     comparison.count(VerdictKind::ambiguous),
                     comparison.interrupted ? "; interrupted" : "");
}

std::string comparison_text(const Comparison& comparison) {
  std::string text;
  for (const std::string& change : comparison.changed) text += printable(change) + "\n";
  if (!comparison.warning.empty()) text += "warning: " + comparison.warning + "\n";
  if (!text.empty()) text += "\n";
  std::vector<std::vector<std::string>> lines;
  for (const ComparedRow* row : by_urgency(comparison)) {
    lines.push_back({name_of(row->verdict.kind),
                     printable(row->info.name),
                     printable(row->info.pass + " " + row->info.dtype),
                     row->verdict.text + (row->note.empty() ? "" : "; " + printable(row->note))});
  }
  text += aligned(lines, 4);
  text += listed(comparison.only_base, "only in base");
  text += listed(comparison.only_now, "only in new ");
  return text + summary_line(comparison) + "\n(" + comparison.method + ")\n";
}

std::string comparison_csv(const Comparison& comparison) {
  std::string text = csv_line({"verdict",
                               "case",
                               "pass",
                               "dtype",
                               "ratio",
                               "low",
                               "high",
                               "count",
                               "implementation",
                               "note"});
  for (const ComparedRow* row : by_urgency(comparison)) {
    text += csv_line({name_of(row->verdict.kind),
                      row->info.name,
                      row->info.pass,
                      row->info.dtype,
                      fmt::format("{:.4f}", row->verdict.ratio),
                      fmt::format("{:.4f}", row->verdict.low),
                      fmt::format("{:.4f}", row->verdict.high),
                      fmt::format("{}", row->verdict.count),
                      row->info.implementation,
                      row->note});
  }
  return text;
}

std::string comparison_json(const Comparison& comparison) {
  nlohmann::ordered_json json{{"slower", comparison.count(VerdictKind::slower)},
                              {"faster", comparison.count(VerdictKind::faster)},
                              {"same", comparison.count(VerdictKind::same)},
                              {"ambiguous", comparison.count(VerdictKind::ambiguous)},
                              {"interrupted", comparison.interrupted},
                              {"method", comparison.method},
                              {"warning", comparison.warning},
                              {"changed", comparison.changed},
                              {"only_base", comparison.only_base},
                              {"only_new", comparison.only_now}};
  json["rows"] = nlohmann::ordered_json::array();
  for (const ComparedRow& row : comparison.rows) {
    json["rows"].push_back({{"verdict", name_of(row.verdict.kind)},
                            {"case", row.info.name},
                            {"pass", row.info.pass},
                            {"dtype", row.info.dtype},
                            {"ratio", row.verdict.ratio},
                            {"low", row.verdict.low},
                            {"high", row.verdict.high},
                            {"count", row.verdict.count},
                            {"implementation", row.info.implementation},
                            {"note", row.note}});
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace lamina::kernel_bench
