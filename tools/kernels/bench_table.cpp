// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/bench_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "engine/files/damage.h"

namespace lamina::kernel_bench {
namespace {

// Columns that bytes of UTF-8 take on a terminal, when no character is wide.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string exact(double value) { return std::isfinite(value) ? fmt::format("{}", value) : ""; }

}  // namespace

std::string short_number(double value) {
  if (!std::isfinite(value)) return "-";
  if (value == 0) return "0";
  const double size = std::abs(value);
  const int decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4;
  return fmt::format("{:.{}f}", value, size < 0.01 ? 6 : decimals);
}

std::string csv_line(const std::vector<std::string>& cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += ',';
    if (cells[i].find_first_of(",\"\r\n") == std::string::npos) {
      line += cells[i];
      continue;
    }
    line += '"';
    for (const char c : cells[i]) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line + "\r\n";
}

std::string aligned(const std::vector<std::vector<std::string>>& lines, std::size_t numbers) {
  std::vector<std::size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (std::size_t i = 0; i < line.size(); ++i)
      widths[i] = std::max(widths[i], width_of(line[i]));
  }
  std::string text;
  for (const auto& line : lines) {
    std::string out;
    for (std::size_t i = 0; i < line.size(); ++i) {
      const std::string space(widths[i] - width_of(line[i]), ' ');
      out += (i > 0 ? "  " : "") + (i < numbers ? line[i] + space : space + line[i]);
    }
    out.resize(out.find_last_not_of(' ') + 1);
    text += out + "\n";
  }
  return text;
}

std::string bench_table(const BenchFile& file) {
  std::vector<std::vector<std::string>> lines{
      {"case", "pass", "dtype", "ms", "min", "MB", "GB/s", "TFLOP/s", "% of ceiling", "x peer"}};
  for (const BenchRow& row : file.rows) {
    const RowFigures figures = figures_of(row, file.ceilings);
    lines.push_back(
        {printable(row.info.name),
         printable(row.info.pass),
         printable(row.info.dtype),
         short_number(figures.median_ms),
         short_number(figures.min_ms),
         row.info.bytes > 0 ? short_number(row.info.bytes / 1e6) : "-",
         short_number(figures.gbps),
         short_number(figures.tflops),
         std::isfinite(figures.share) ? fmt::format("{:.1f}", 100 * figures.share) : "-",
         std::isfinite(figures.ratio)
             ? fmt::format("{:.2f} {}", figures.ratio, printable(row.peer->name))
             : "-"});
  }
  return aligned(lines, 3);
}

std::string bench_csv(const BenchFile& file) {
  std::string text = csv_line({"case",
                               "op",
                               "pass",
                               "dtype",
                               "implementation",
                               "ms_median",
                               "ms_min",
                               "bytes",
                               "flops",
                               "gbps",
                               "tflops",
                               "share_of_ceiling",
                               "peer",
                               "ratio_to_peer"});
  for (const BenchRow& row : file.rows) {
    const RowFigures figures = figures_of(row, file.ceilings);
    text += csv_line({row.info.name,
                      row.info.op,
                      row.info.pass,
                      row.info.dtype,
                      row.info.implementation,
                      exact(figures.median_ms),
                      exact(figures.min_ms),
                      exact(row.info.bytes),
                      exact(row.info.flops),
                      exact(figures.gbps),
                      exact(figures.tflops),
                      exact(figures.share),
                      row.peer ? row.peer->name : "",
                      exact(figures.ratio)});
  }
  return text;
}

}  // namespace lamina::kernel_bench
