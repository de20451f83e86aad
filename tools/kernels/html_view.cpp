// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/html_view.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "engine/train/html_text.h"
#include "engine/train/report_style.h"
#include "tools/kernels/bench_table.h"
#include "tools/kernels/html_style.h"

namespace lamina::kernel_bench {
namespace {

constexpr const char* kDash = "\xE2\x80\x93";
using Changes = std::unordered_map<std::string, const ComparedRow*>;

std::string word(std::int64_t count, const char* one, const char* many) {
  return fmt::format("{} {}", grouped(count), count == 1 ? one : many);
}

// 2026-01-31T12:00:00Z as people write it; anything else as it is.
std::string readable_time(const std::string& date) {
  const bool iso = date.size() == 20 && date[10] == 'T' && date[19] == 'Z';
  return iso ? date.substr(0, 10) + " " + date.substr(11, 5) + " UTC" : date;
}

// A kernel's name, which may wrap behind its slashes and dots.
std::string wrapping(const std::string& name) {
  std::string html;
  for (const char c : escape_html(name)) {
    html += c;
    if (c == '/' || c == '.') html += "<wbr/>";
  }
  return html;
}

std::string badge(VerdictKind kind) {
  std::string style = name_of(kind);
  std::transform(style.begin(), style.end(), style.begin(), [](char c) {
    return static_cast<char>(c - 'A' + 'a');
  });
  return fmt::format("<span class=\"badge {}\">{}</span>", style, name_of(kind));
}

int urgency(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::slower:
      return 0;
    case VerdictKind::ambiguous:
      return 1;
    case VerdictKind::faster:
      return 2;
    case VerdictKind::same:
      break;
  }
  return 3;
}

// A number with what it sorts by. `share` of 0..1 draws a bar below it; NaN draws none.
std::string number_cell(double value, const std::string& text, double share = std::nan("")) {
  const std::string sorts = std::isfinite(value) ? fmt::format("{:.6g}", value) : "";
  if (!std::isfinite(share)) return fmt::format("<td data-v=\"{}\">{}</td>", sorts, text);
  return fmt::format("<td class=\"bar\" style=\"--share:{:.3f}\" data-v=\"{}\">{}</td>",
                     std::clamp(share, 0.0, 1.0),
                     sorts,
                     text);
}

std::string shown(double value) { return std::isfinite(value) ? short_number(value) : kDash; }

std::string peer_cell(const BenchRow& row, const RowFigures& figures) {
  if (!std::isfinite(figures.ratio)) return number_cell(figures.ratio, kDash);
  const double gap = std::abs(figures.ratio - 1);
  return number_cell(figures.ratio,
                     fmt::format("{:.2f}x<small>{} {}</small>",
                                 figures.ratio,
                                 gap < 0.005         ? "as"
                                 : figures.ratio < 1 ? "faster than"
                                                     : "slower than",
                                 escape_html(row.peer->name)));
}

std::string change_cell(const BenchRow& row, const Changes& changes) {
  const auto found = changes.find(row.info.key());
  if (found == changes.end()) return "<td data-v=\"\">new</td>";
  const Verdict& verdict = found->second->verdict;
  // Sorts by urgency, then by ratio.
  return fmt::format("<td data-v=\"{:.4f}\">{}<small>{:.3f}x</small></td>",
                     urgency(verdict.kind) * 1000 - std::min(verdict.ratio, 999.0),
                     badge(verdict.kind),
                     verdict.ratio);
}

// Urgent first, then what takes longest.
std::vector<const BenchRow*> sorted_rows(const BenchFile& file, const Changes& changes) {
  const auto rank = [&](const BenchRow& row) {
    const auto found = changes.find(row.info.key());
    return found == changes.end() ? 4 : urgency(found->second->verdict.kind);
  };
  std::vector<std::pair<std::pair<int, double>, const BenchRow*>> rows;
  for (const BenchRow& row : file.rows) {
    const double ms = figures_of(row, file.ceilings).median_ms;
    rows.push_back({{rank(row), std::isfinite(ms) ? -ms : 0.0}, &row});
  }
  std::stable_sort(
      rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<const BenchRow*> sorted;
  for (const auto& entry : rows) sorted.push_back(entry.second);
  return sorted;
}

double peak_of(const BenchFile& file, const std::string& dtype) {
  const auto found = file.ceilings.matmul_tflops.find(dtype);
  return found == file.ceilings.matmul_tflops.end() ? 0.0 : found->second;
}

std::string row_html(const BenchRow& row, const BenchFile& file, const Changes* changes) {
  const RowFigures figures = figures_of(row, file.ceilings);
  const CaseInfo& info = row.info;
  std::string html = fmt::format("<tr><th scope=\"row\">{}<small>{}</small></th>",
                                 wrapping(info.name),
                                 escape_html(info.implementation));
  if (changes != nullptr) html += change_cell(row, *changes);
  html += fmt::format("<td class=\"words\">{}</td><td class=\"words\">{}</td>",
                      escape_html(info.pass),
                      escape_html(info.dtype));
  html += number_cell(figures.median_ms, shown(figures.median_ms));
  html += number_cell(figures.min_ms, shown(figures.min_ms));
  html += number_cell(info.bytes, info.bytes > 0 ? shown(info.bytes / 1e6) : kDash);
  const double copy = file.ceilings.copy_gbps, peak = peak_of(file, info.dtype);
  html +=
      number_cell(figures.gbps, shown(figures.gbps), copy > 0 ? figures.gbps / copy : std::nan(""));
  html += number_cell(
      figures.tflops, shown(figures.tflops), peak > 0 ? figures.tflops / peak : std::nan(""));
  html += number_cell(figures.share, percent(figures.share, 1), figures.share);
  return html + peer_cell(row, figures) + "</tr>\n";
}

std::string table_section(const BenchFile& file, const Changes* changes) {
  std::string html =
      "<section id=\"kernels\"><h2>Kernels</h2>\n"
      "<p class=\"soft legend\">Bars: the share of what this machine was measured to copy "
      "(GB/s) and to multiply (TFLOP/s). The ceiling is the tighter of both.</p>\n"
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers kernels\"><thead><tr>"
      "<th scope=\"col\">Kernel</th>";
  if (changes != nullptr) html += "<th scope=\"col\">Change</th>";
  html +=
      "<th scope=\"col\" class=\"words\">Pass</th><th scope=\"col\" class=\"words\">Type</th>"
      "<th scope=\"col\">ms</th><th scope=\"col\">Best ms</th><th scope=\"col\">MB</th>"
      "<th scope=\"col\">GB/s</th><th scope=\"col\">TFLOP/s</th>"
      "<th scope=\"col\">Of ceiling</th><th scope=\"col\">Against "
      "peer</th></tr></thead>\n<tbody>\n";
  for (const BenchRow* row : sorted_rows(file, changes == nullptr ? Changes{} : *changes))
    html += row_html(*row, file, changes);
  return html + "</tbody></table></div></section>\n";
}

std::string changed_rows(const Comparison& comparison) {
  std::vector<const ComparedRow*> rows;
  for (const ComparedRow& row : comparison.rows) {
    if (row.verdict.kind != VerdictKind::same) rows.push_back(&row);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const ComparedRow* a, const ComparedRow* b) {
    return urgency(a->verdict.kind) < urgency(b->verdict.kind);
  });
  std::string html;
  for (const ComparedRow* row : rows) {
    html +=
        fmt::format("<tr><td>{}</td><th scope=\"row\">{}</th><td class=\"wide\">{}{}</td></tr>\n",
                    badge(row->verdict.kind),
                    wrapping(row->info.key()),
                    escape_html(row->verdict.text),
                    row->note.empty() ? "" : "; " + escape_html(row->note));
  }
  return html.empty() ? "" : "<table class=\"changes\"><tbody>\n" + html + "</tbody></table>\n";
}

std::string paragraph_list(const char* title, const std::vector<std::string>& items) {
  if (items.empty()) return "";
  std::string html;
  for (const std::string& item : items) html += "<li>" + escape_html(item) + "</li>\n";
  return fmt::format("<h3>{}</h3>\n<ul>\n{}</ul>\n", title, html);
}

std::string changes_section(const HtmlOpts& opts) {
  if (opts.changes == nullptr) return "";
  const Comparison& comparison = *opts.changes;
  std::string html = "<section id=\"changes\"><h2>Changes since the baseline</h2>\n";
  html += "<p>" + escape_html(summary_line(comparison));
  if (!opts.base_date.empty())
    html += " Baseline of " + escape_html(readable_time(opts.base_date)) + ".";
  html += "</p>\n";
  if (!comparison.warning.empty())
    html += "<p><strong>Warning:</strong> " + escape_html(comparison.warning) + "</p>\n";
  const std::string rows = changed_rows(comparison);
  html += rows.empty() ? "<p>No kernel became slower or faster.</p>\n" : rows;
  html += paragraph_list("Different versions and settings", comparison.changed);
  html += paragraph_list("Only in the baseline", comparison.only_base);
  html += paragraph_list("Only in this result", comparison.only_now);
  return html + "<p class=\"soft legend\">Method: " + escape_html(comparison.method) +
         ".</p></section>\n";
}

std::string machine_section(const BenchFile& file) {
  std::vector<std::pair<std::string, std::string>> ceilings;
  if (file.ceilings.copy_gbps > 0)
    ceilings.emplace_back("copy", short_number(file.ceilings.copy_gbps) + " GB/s");
  for (const auto& [dtype, peak] : file.ceilings.matmul_tflops)
    ceilings.emplace_back("matmul " + dtype, short_number(peak) + " TFLOP/s");
  std::string html = "<section id=\"machine\"><h2>Machine</h2>\n<div class=\"columns\">\n<div>" +
                     facts_table(file.machine) + "</div>\n";
  if (!ceilings.empty())
    html += "<div><h3>Measured ceilings</h3>\n" + facts_table(ceilings) + "</div>\n";
  return html + "</div></section>\n";
}

std::string subtitle(const BenchFile& file) {
  std::string text;
  const auto add = [&](const std::string& part) {
    if (!part.empty()) text += (text.empty() ? "" : " \xC2\xB7 ") + part;
  };
  for (const auto& [name, value] : file.machine) {
    if (name == "device" || name == "backend") add(value);
  }
  add(word(static_cast<std::int64_t>(file.rows.size()), "kernel", "kernels"));
  add(readable_time(file.date));
  return escape_html(text);
}

}  // namespace

std::string bench_html(const BenchFile& file, const HtmlOpts& opts) {
  Changes changes;
  if (opts.changes != nullptr) {
    for (const ComparedRow& row : opts.changes->rows) changes[row.info.key()] = &row;
  }
  const std::string title = escape_html(opts.title);
  const bool compared = opts.changes != nullptr;
  return fmt::format(
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
             "<title>{0}</title>\n<style>{1}{2}</style>\n</head>\n<body>\n<header>\n<h1>{0}</h1>\n"
             "<p class=\"soft\">{3}</p>\n<nav aria-label=\"Sections\">{4}"
             "<a href=\"#kernels\">Kernels</a><a href=\"#machine\">Machine</a></nav>\n</header>\n"
             "<main>\n",
             title,
             kReportStyle,
             kKernelStyle,
             subtitle(file),
             compared ? "<a href=\"#changes\">Changes</a>" : "") +
         changes_section(opts) + table_section(file, compared ? &changes : nullptr) +
         machine_section(file) + "</main>\n<script>" + std::string(kKernelScript) +
         "</script>\n</body>\n</html>\n";
}

}  // namespace lamina::kernel_bench
