// SPDX-License-Identifier: Apache-2.0
#include "tests/kernels/harness.h"

#include <cerrno>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>

namespace lamina::test {
namespace {

constexpr double kUnitRoundoff = std::numeric_limits<float>::epsilon() / 2;
constexpr int kThreads = 2;
constexpr std::size_t kTrustFrom = 16;  // shorter outputs are too small to judge their variety

const char* environment(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? "" : text;
}

std::string position(const Shape& shape, std::size_t index) {
  const auto i = static_cast<std::int64_t>(index);
  return fmt::format("[n={} h={} w={} c={}]",
                     i / shape.per_sample(),
                     i / (shape.w * shape.c) % shape.h,
                     i / shape.c % shape.w,
                     i % shape.c);
}

// A NaN has a sign, which says nothing.
std::string shown(double value) { return std::isnan(value) ? "nan" : fmt::format("{:.9g}", value); }

// The share of elements that have the most frequent value.
double constancy(Values values) {
  std::sort(values.begin(), values.end());
  std::size_t longest = 0;
  for (std::size_t begin = 0; begin < values.size();) {
    std::size_t end = begin + 1;
    while (end < values.size() && values[end] == values[begin]) ++end;
    longest = std::max(longest, end - begin);
    begin = end;
  }
  return static_cast<double>(longest) / static_cast<double>(values.size());
}

double magnitude_at(const Budget& budget, std::size_t i, double want) {
  const double given = budget.magnitude.empty()       ? 0
                       : budget.magnitude.size() == 1 ? budget.magnitude[0]
                                                      : budget.magnitude.at(i);
  return std::max(given, std::abs(want));
}

// The error as a multiple of what is allowed: up to 1 passes.
double share_of_budget(const Budget& budget, std::size_t i, double got, double want) {
  if (got == want || (std::isnan(got) && std::isnan(want))) return 0;
  const double error = std::abs(got - want);
  if (budget.roundings == 0 || !std::isfinite(error))
    return std::numeric_limits<double>::infinity();
  // Below the normal numbers of f32 the spacing no longer shrinks with the value.
  const double floor = std::numeric_limits<float>::min();
  return error / (budget.roundings * kUnitRoundoff * magnitude_at(budget, i, want) + floor);
}

}  // namespace

std::vector<BackendKind> backends() {
  std::vector<BackendKind> found{BackendKind::ref, BackendKind::cpu};
  for (const DeviceReport& report : list_devices()) {
    if (report.backend == BackendKind::cuda && report.usable) found.push_back(report.backend);
  }
  return found;
}

std::string backend_name(const testing::TestParamInfo<BackendKind>& info) {
  return std::string(name_of(info.param));
}

Table::Table(BackendKind backend)
    : backend_(backend), ctx_(make_context({.backend = backend, .threads = kThreads})) {}

Table::~Table() {
  if (cases_ == 0) {
    if (skipped_ == 0) ADD_FAILURE() << "the table has no case.";
    return;
  }
  fmt::print("  {} cases, {} outputs, seed {}; ", cases_, outputs_, test_seed());
  if (failures_ > 0) fmt::print("{} failures; ", failures_);
  if (worst_.empty()) {
    fmt::print("nothing differs from ref\n");
  } else {
    fmt::print("largest error {:.0f} % of its budget: {}\n", 100 * worst_share_, worst_);
  }
}

// A context is the only way to say how many threads: it sets the runtime's number too.
void Table::use_threads(int threads) {
  if (backend_ == BackendKind::cpu) ctx_ = make_context({.backend = backend_, .threads = threads});
}

bool Table::wants(const std::string& case_name) {
  const std::string only = environment("LAMINA_CASE");
  if (only.empty() || only == case_name) return true;
  ++skipped_;
  return false;
}

void Table::report(const Problem& problem, const std::string& what) {
  ++failures_;
  const testing::TestInfo* const test = testing::UnitTest::GetInstance()->current_test_info();
  ADD_FAILURE() << problem.name << " on " << name_of(backend_) << ": " << what
                << "\n  repeat with: "
                << fmt::format(
                       "LAMINA_CASE='{}' LAMINA_TEST_SEED={} {} "
                       "--gtest_filter='{}.{}'",
                       problem.name,
                       test_seed(),
                       program_invocation_short_name,
                       test->test_suite_name(),
                       test->name());
}

void Table::judge(const Problem& problem, const Slot& slot, const Values& got, const Values& want) {
  ++outputs_;
  if (!slot.sparse && want.size() >= kTrustFrom && constancy(want) > 0.95) {
    report(problem,
           fmt::format("MISTRUSTED: the truth of {} is one value nearly everywhere", slot.name));
  }
  double worst = 0;
  std::size_t worst_at = 0, bad = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (slot.budget.roundings == 0 && !slot.dtype &&
        static_cast<float>(want[i]) != static_cast<double>(want[i]) && !std::isnan(want[i])) {
      report(problem,
             fmt::format("{} demands equality with {}, which f32 cannot hold", slot.name, want[i]));
      return;
    }
    const double share = share_of_budget(slot.budget, i, got[i], want[i]);
    if (share > 1) ++bad;
    if (share > worst) {
      worst = share;
      worst_at = i;
    }
  }
  case_share_ = std::max(case_share_, worst);
  if (worst > worst_share_) {
    worst_share_ = worst;
    worst_ = fmt::format("{} {}", problem.name, slot.name);
  }
  if (bad == 0) return;
  report(problem,
         fmt::format("{} of {} elements of {} are off; the worst at {} is {}, the truth {}, "
                     "the error {:.0f} % of its budget",
                     bad,
                     want.size(),
                     slot.name,
                     position(slot.shape, worst_at),
                     shown(got[worst_at]),
                     shown(want[worst_at]),
                     100 * worst));
}

void Table::compare_bits(const Problem& problem,
                         const Outcome& first,
                         const Outcome& again,
                         const char* what) {
  for (const auto& [name, bytes] : first.bytes) {
    if (again.bytes.at(name) != bytes)
      report(problem, fmt::format("{} gives other bits in {}", what, name));
  }
}

void Table::check(const Problem& problem) {
  if (!wants(problem.name)) return;
  ++cases_;
  case_share_ = 0;
  try {
    const Outcome truth = execute_ref(problem);
    const auto judge_all = [&](const Outcome& outcome) {
      for (const std::string& fault : outcome.faults) report(problem, fault);
      for (const Slot& slot : problem.slots) {
        if (slot.role == Role::in) continue;
        judge(problem, slot, outcome.values.at(slot.name), truth.values.at(slot.name));
      }
    };
    const Outcome first = execute(ctx_, DType::f32, problem);
    judge_all(first);
    const Outcome second = execute(ctx_, DType::f32, problem, {.garbage = 0x7F});
    compare_bits(problem, first, second, "a second run");
    use_threads(cases_ % 2 == 0 ? 1 : 3);
    judge_all(execute(ctx_, DType::f32, problem, {.shifted = true}));
    use_threads(kThreads);
    if (!problem.in_place.empty()) {
      const Outcome in_place = execute(ctx_, DType::f32, problem, {.in_place = true});
      for (const std::string& fault : in_place.faults) report(problem, "in place: " + fault);
      compare_bits(problem, first, in_place, "running in place");
    }
  } catch (const std::exception& error) {
    report(problem, fmt::format("it threw: {}", error.what()));
  }
  if (*environment("LAMINA_VERBOSE") != '\0')
    fmt::print("  {:<60} {:>4.0f} %\n", problem.name, 100 * case_share_);
}

}  // namespace lamina::test
