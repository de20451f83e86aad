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
constexpr std::int64_t kMostIn16Bits = 300'000;  // elements of a case
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

bool is_16_bit(DType dtype) { return size_of(dtype) == 2; }

// What storing intermediate results may change: half the spacing of the dtype, each time.
double error_of_stores(DType dtype, int stores, double magnitude) {
  const double relative = dtype == DType::bf16 ? 0x1p-8 : 0x1p-11;
  const double smallest = dtype == DType::bf16 ? 0x1p-134 : 0x1p-25;
  return stores * (relative * magnitude + smallest);
}

// The error as a multiple of what is allowed: up to 1 passes.
double share_of_budget(const Budget& budget, std::size_t i, DType dtype, double got, double want) {
  if (got == want || (std::isnan(got) && std::isnan(want))) return 0;
  const bool narrow = is_16_bit(dtype);
  if (budget.roundings == 0) {
    return narrow && got == rounded(dtype, want) ? 0 : std::numeric_limits<double>::infinity();
  }
  const double error = std::abs((narrow ? before_store(dtype, got, want) : got) - want);
  if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
  const double magnitude = magnitude_at(budget, i, want);
  const double stores = narrow ? error_of_stores(dtype, budget.stores, magnitude) : 0;
  // Below the normal numbers of f32 the spacing no longer shrinks with the value.
  const double floor = std::numeric_limits<float>::min();
  return error / (budget.roundings * kUnitRoundoff * magnitude + stores + floor);
}

}  // namespace

std::vector<BackendKind> backends() {
  std::vector<BackendKind> found{BackendKind::ref, BackendKind::cpu};
  for (const DeviceReport& report : list_devices()) {
    if (report.backend == BackendKind::cuda && report.usable) found.push_back(report.backend);
  }
  return found;
}

std::vector<DType> dtypes_of(BackendKind backend) {
  if (backend != BackendKind::cuda) return {DType::f32};
  return {DType::f32, DType::bf16, DType::f16};
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
  for (const auto& [reason, count] : left_out_) fmt::print("{} left out: {}; ", count, reason);
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
  ADD_FAILURE() << problem.name << " on " << name_of(backend_) << " in " << name_of(problem.dtype)
                << ": " << what << "\n  repeat with: "
                << fmt::format(
                       "LAMINA_CASE='{}' LAMINA_DTYPE={} LAMINA_TEST_SEED={} {} "
                       "--gtest_filter='{}.{}'",
                       problem.name,
                       name_of(problem.dtype),
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
  const DType stored = stored_dtype(slot, problem.dtype);
  // Where intermediate results may be stored, they are exact only when they need no rounding.
  const DType holds = slot.budget.stores > 0 ? stored : DType::f32;
  double worst = 0;
  std::size_t worst_at = 0, bad = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (slot.budget.roundings == 0 && !slot.dtype && rounded(holds, want[i]) != want[i] &&
        !std::isnan(want[i])) {
      report(problem,
             fmt::format("{} demands equality with {}, which {} cannot hold",
                         slot.name,
                         want[i],
                         name_of(holds)));
      return;
    }
    const double share = share_of_budget(slot.budget, i, stored, got[i], want[i]);
    if (share > 1) ++bad;
    if (share > worst) {
      worst = share;
      worst_at = i;
    }
  }
  case_share_ = std::max(case_share_, worst);
  if (worst > worst_share_) {
    worst_share_ = worst;
    worst_ = fmt::format("{} {} in {}", problem.name, slot.name, name_of(stored));
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

void Table::check_all(const std::function<Problem(DType)>& make) {
  const std::string only = environment("LAMINA_DTYPE");
  std::int64_t elements = 0;
  for (DType dtype : dtypes_of(backend_)) {
    if (!only.empty() && dtype_from_name(only) != dtype) {
      ++skipped_;
      continue;
    }
    const bool narrow = is_16_bit(dtype);
    if (narrow && elements > kMostIn16Bits) {
      ++left_out_["large for 16 bits"];
      continue;
    }
    const Problem problem = make(dtype);
    elements = problem.elements();
    if (narrow && elements > kMostIn16Bits) {
      ++left_out_["large for 16 bits"];
    } else {
      check(problem);
    }
  }
}

void Table::check(const Problem& problem) {
  if (!wants(problem.name)) return;
  if (!problem.unfit.empty()) {
    ++left_out_[fmt::format("{} in {}", problem.unfit, name_of(problem.dtype))];
    return;
  }
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
    const DType real = problem.dtype;
    const Outcome first = execute(ctx_, real, problem);
    judge_all(first);
    const Outcome second = execute(ctx_, real, problem, {.garbage = 0x7F});
    compare_bits(problem, first, second, "a second run");
    use_threads(cases_ % 2 == 0 ? 1 : 3);
    const bool shifted = !(problem.aligned_on_cuda && backend_ == BackendKind::cuda);
    judge_all(execute(ctx_, real, problem, {.shifted = shifted}));
    use_threads(kThreads);
    if (!problem.in_place.empty()) {
      const Outcome in_place = execute(ctx_, real, problem, {.in_place = true});
      for (const std::string& fault : in_place.faults) report(problem, "in place: " + fault);
      compare_bits(problem, first, in_place, "running in place");
    }
  } catch (const std::exception& error) {
    report(problem, fmt::format("it threw: {}", error.what()));
  }
  if (*environment("LAMINA_VERBOSE") != '\0')
    fmt::print(
        "  {:<60} {:<4} {:>4.0f} %\n", problem.name, name_of(problem.dtype), 100 * case_share_);
}

}  // namespace lamina::test
