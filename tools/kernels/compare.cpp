// Which sides there are, and comparing what was recorded.
// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/compare.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <unordered_map>

#include "engine/core/error.h"

namespace lamina::kernel_bench {
namespace {

constexpr double kMuchDrift = 1.2;

bool is_file(const std::string& side) {
  return side.size() > 5 && side.compare(side.size() - 5, 5, ".json") == 0;
}

VerdictOpts unpaired(const CompareOpts& opts) {
  return {.threshold = opts.threshold, .confidence = opts.confidence, .paired = false};
}

std::string drift_warning(const BenchFile& base, const BenchFile& now) {
  if (base.yardstick_ms.empty() || now.yardstick_ms.empty())
    return "A file has no yardstick: a change of the machine's speed would look like one of the "
           "kernels.";
  const double drift = median_of(now.yardstick_ms) / median_of(base.yardstick_ms);
  if (drift < kMuchDrift && drift > 1 / kMuchDrift) return "";
  return fmt::format(
      "The machine itself ran at {:.2f} of its former speed; compare the two programs side by "
      "side.",
      1 / drift);
}

BenchFile side_of(const std::string& side, const CompareOpts& opts) {
  if (is_file(side)) return load_bench_file(side);
  return record(*start_child({.program = side, .flags = opts.flags, .stop = opts.stop}), opts);
}

}  // namespace

std::int64_t Comparison::count(VerdictKind kind) const {
  return std::count_if(
      rows.begin(), rows.end(), [&](const ComparedRow& row) { return row.verdict.kind == kind; });
}

int exit_code(const Comparison& comparison) {
  return comparison.interrupted || comparison.count(VerdictKind::slower) > 0 ? 1 : 0;
}

Comparison compare_files(const BenchFile& base, const BenchFile& now, const CompareOpts& opts) {
  const std::string differs = different_machine(base.machine, now.machine);
  LAMINA_CHECK(differs.empty() || opts.force,
               "These were measured on different machines: {}. Measure both on one, or give "
               "--force to compare them all the same.",
               differs);
  const VerdictOpts verdict_opts = unpaired(opts);
  Comparison comparison{.changed = changed_facts(base.machine, now.machine),
                        .warning = drift_warning(base, now),
                        .method = method_text(verdict_opts),
                        .measured = now};
  std::unordered_map<std::string, const BenchRow*> before;
  for (const BenchRow& row : base.rows) before[row.info.key()] = &row;
  for (const BenchRow& row : now.rows) {
    const auto found = before.find(row.info.key());
    if (found == before.end()) {
      comparison.only_now.push_back(row.info.key());
      continue;
    }
    const BenchRow& old = *found->second;
    ComparedRow compared{row.info, judge(rounds_of(old, base), rounds_of(row, now), verdict_opts)};
    if (old.info.implementation != row.info.implementation)
      compared.note = old.info.implementation + " -> " + row.info.implementation;
    comparison.rows.push_back(std::move(compared));
    before.erase(found);
  }
  for (const BenchRow& row : base.rows) {
    if (before.count(row.info.key()) != 0) comparison.only_base.push_back(row.info.key());
  }
  return comparison;
}

Comparison compare(const CompareOpts& opts) {
  LAMINA_CHECK(opts.rounds > 0 && opts.most_pairs > 0,
               "The numbers of rounds and pairs must be positive.");
  if (is_file(opts.base) || is_file(opts.now)) {
    const VerdictOpts needs = unpaired(opts);
    LAMINA_CHECK((is_file(opts.base) && is_file(opts.now)) || opts.rounds >= fewest_rounds(needs),
                 "{} rounds are too few for a verdict; give at least {}.",
                 opts.rounds,
                 fewest_rounds(needs));
    // Files first: a damaged one is refused before minutes are spent on the other side.
    BenchFile base, now;
    if (is_file(opts.base)) base = side_of(opts.base, opts);
    now = side_of(opts.now, opts);
    if (!is_file(opts.base)) base = side_of(opts.base, opts);
    return compare_files(base, now, opts);
  }
  const auto base = start_child({.program = opts.base, .flags = opts.flags, .stop = opts.stop});
  const auto now = start_child({.program = opts.now, .flags = opts.flags, .stop = opts.stop});
  return compare_benchers(*base, *now, opts);
}

}  // namespace lamina::kernel_bench
