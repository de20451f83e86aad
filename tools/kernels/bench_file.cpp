// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/bench_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "engine/core/error.h"
#include "engine/files/atomic_file.h"

namespace lamina::kernel_bench {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kIdentity[] = {"device", "backend", "threads"};

std::vector<double> flat(const std::vector<std::vector<double>>& rounds) {
  std::vector<double> all;
  for (const auto& round : rounds) all.insert(all.end(), round.begin(), round.end());
  return all;
}

std::string fact(const Machine& machine, const std::string& name) {
  const auto found =
      std::find_if(machine.begin(), machine.end(), [&](const auto& f) { return f.first == name; });
  return found == machine.end() ? "" : found->second;
}

std::string quoted_or_none(const std::string& value) { return value.empty() ? "none" : value; }

}  // namespace

int identity_rank(const std::string& fact) {
  return static_cast<int>(std::find(std::begin(kIdentity), std::end(kIdentity), fact) -
                          std::begin(kIdentity));
}

std::string CaseInfo::key() const { return name + " " + pass + " " + dtype; }

RowFigures figures_of(const BenchRow& row, const Ceilings& ceilings) {
  RowFigures figures{kNone, kNone, kNone, kNone, kNone, kNone};
  const std::vector<double> all = flat(row.rounds);
  if (all.empty()) return figures;
  figures.median_ms = median_of(all);
  figures.min_ms = *std::min_element(all.begin(), all.end());
  const double seconds = figures.median_ms / 1e3;
  if (row.info.bytes > 0) figures.gbps = row.info.bytes / seconds / 1e9;
  if (row.info.flops > 0) figures.tflops = row.info.flops / seconds / 1e12;

  double allowed = 0;  // seconds
  if (ceilings.copy_gbps > 0) allowed = row.info.bytes / (ceilings.copy_gbps * 1e9);
  const auto peak = ceilings.matmul_tflops.find(row.info.dtype);
  if (peak != ceilings.matmul_tflops.end() && peak->second > 0)
    allowed = std::max(allowed, row.info.flops / (peak->second * 1e12));
  if (allowed > 0) figures.share = allowed / seconds;

  if (row.peer) {
    const std::vector<double> peer = flat(row.peer->rounds);
    if (!peer.empty()) figures.ratio = figures.median_ms / median_of(peer);
  }
  return figures;
}

std::vector<Round> rounds_of(const BenchRow& row, const BenchFile& file) {
  std::vector<Round> rounds;
  for (std::size_t i = 0; i < row.rounds.size(); ++i) {
    rounds.push_back({row.rounds[i], file.yardstick_ms.empty() ? 0.0 : file.yardstick_ms.at(i)});
  }
  return rounds;
}

BenchFile load_bench_file(const std::filesystem::path& path) {
  std::error_code error;
  LAMINA_CHECK(std::filesystem::is_regular_file(path, error),
               "There is no bench file '{}'; `lamina kernels bench` writes one.",
               path.string());
  return parse_bench_file(read_text_file(path), path.string());
}

void save_bench_file(const BenchFile& file, const std::filesystem::path& path) {
  write_file_atomically(path, bench_file_text(file));
}

std::string different_machine(const Machine& base, const Machine& now) {
  for (const char* name : kIdentity) {
    const std::string before = fact(base, name), after = fact(now, name);
    if (before != after)
      return fmt::format(
          "their {} differs ({} and {})", name, quoted_or_none(before), quoted_or_none(after));
  }
  return "";
}

std::vector<std::string> changed_facts(const Machine& base, const Machine& now) {
  std::vector<std::string> changes;
  std::set<std::string> seen;
  // What makes times incomparable stands first in both, where --force let it through.
  for (const Machine* machine : {&base, &now}) {
    for (const auto& [name, value] : *machine) {
      if (!seen.insert(name).second) continue;
      const std::string before = fact(base, name), after = fact(now, name);
      if (before != after)
        changes.push_back(
            fmt::format("{} {} -> {}", name, quoted_or_none(before), quoted_or_none(after)));
    }
  }
  return changes;
}

}  // namespace lamina::kernel_bench
