// SPDX-License-Identifier: Apache-2.0
#include "kernels/suite/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace lamina::suite {
namespace {

constexpr double kUnitRoundoff = std::numeric_limits<float>::epsilon() / 2;
constexpr std::size_t kTrustFrom = 16;  // shorter outputs are too small to judge their variety
constexpr double kConstant = 0.95;      // this share of one value is MISTRUSTED

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

// Whether one value fills most of them. It would then be the median too.
bool nearly_constant(const Values& values) {
  Values copy = values;
  // NaN has no place in an order; as infinity it is as frequent.
  for (double& value : copy)
    if (std::isnan(value)) value = std::numeric_limits<double>::infinity();
  const auto middle = copy.begin() + static_cast<std::ptrdiff_t>(copy.size() / 2);
  std::nth_element(copy.begin(), middle, copy.end());
  const auto same = std::count(copy.begin(), copy.end(), *middle);
  return static_cast<double>(same) > kConstant * static_cast<double>(copy.size());
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

std::string share_text(double share) {
  return std::isinf(share) ? "beyond any budget"
                           : fmt::format("{:.0f} % of its budget", 100 * share);
}

Judgement judge_output(const Slot& slot, DType dtype, const Values& got, const Values& want) {
  Judgement result;
  if (!slot.sparse && want.size() >= kTrustFrom && nearly_constant(want))
    result.failures.push_back(
        fmt::format("MISTRUSTED: the truth of {} is one value nearly everywhere", slot.name));
  const DType stored = stored_dtype(slot, dtype);
  // Where intermediate results may be stored, they are exact only when they need no rounding.
  const DType holds = slot.budget.stores > 0 ? stored : DType::f32;
  const bool demands_equality = slot.budget.roundings == 0 && !slot.dtype;
  std::size_t worst_at = 0, bad = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (demands_equality && rounded(holds, want[i]) != want[i] && !std::isnan(want[i])) {
      result.failures.push_back(fmt::format(
          "{} demands equality with {}, which {} cannot hold", slot.name, want[i], name_of(holds)));
      return result;
    }
    const double share = share_of_budget(slot.budget, i, stored, got[i], want[i]);
    if (share > 1) ++bad;
    if (share > result.share) {
      result.share = share;
      worst_at = i;
    }
  }
  if (bad > 0)
    result.failures.push_back(
        fmt::format("{} of {} elements of {} are off; the worst at {} is {}, the truth {}, "
                    "the error {}",
                    bad,
                    want.size(),
                    slot.name,
                    position(slot.shape, worst_at),
                    shown(got[worst_at]),
                    shown(want[worst_at]),
                    share_text(result.share)));
  return result;
}

std::vector<std::string> compare_bits(const Outcome& first,
                                      const Outcome& again,
                                      const char* what) {
  std::vector<std::string> failures;
  for (const auto& [name, bytes] : first.bytes) {
    if (again.bytes.at(name) != bytes)
      failures.push_back(fmt::format("{} gives other bits in {}", what, name));
  }
  return failures;
}

}  // namespace lamina::suite
