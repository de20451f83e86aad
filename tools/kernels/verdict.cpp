// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/verdict.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"

namespace lamina::kernel_bench {
namespace {

struct Interval {
  double middle, low, high;
  bool found;  // false: there are too few values
};

// The numbers of a statistic's distribution under "no difference", as probabilities of 0, 1, 2...
using Distribution = std::vector<double>;

// How many of n pairs lie below their median.
Distribution sign_distribution(std::int64_t n) {
  Distribution chance(static_cast<std::size_t>(n) + 1);
  for (std::int64_t k = 0; k <= n; ++k) {
    const double choose =
        std::lgamma(double(n) + 1) - std::lgamma(double(k) + 1) - std::lgamma(double(n - k) + 1);
    chance[static_cast<std::size_t>(k)] = std::exp(choose - double(n) * std::log(2.0));
  }
  return chance;
}

// How many of the n*m differences between two sides lie below the shift: the coefficients of the
// Gaussian binomial, exact in double while C(n+m, n) < 2^53, and a normal law beyond.
Distribution rank_distribution(std::int64_t n, std::int64_t m) {
  constexpr double kExact = 36;  // log(2^53), rounded down
  const double ways =
      std::lgamma(double(n + m) + 1) - std::lgamma(double(n) + 1) - std::lgamma(double(m) + 1);
  const auto size = static_cast<std::size_t>(n * m) + 1;
  Distribution chance(size, 0.0);
  if (ways < kExact) {
    chance[0] = 1;
    for (std::int64_t i = 1; i <= n; ++i) {
      const auto up = static_cast<std::size_t>(m + i), down = static_cast<std::size_t>(i);
      for (std::size_t u = size; u-- > up;) chance[u] -= chance[u - up];
      for (std::size_t u = down; u < size; ++u) chance[u] += chance[u - down];
    }
    for (double& c : chance) c /= std::exp(ways);
  } else {
    const double mean = double(n * m) / 2;
    const double root2_deviation = std::sqrt(double(n * m) * double(n + m + 1) / 6);
    const auto below = [&](double u) { return 0.5 * std::erfc((mean - u) / root2_deviation); };
    for (std::size_t u = 0; u < size; ++u)
      chance[u] = below(double(u) + 0.5) - below(double(u) - 0.5);
  }
  return chance;
}

// How many values to leave off at either end so that what was left off weighs at most `error`;
// -1: even the whole range misses too often.
std::int64_t values_to_drop(const Distribution& chance, double error) {
  double tail = 0;
  std::int64_t drop = -1;
  for (const double c : chance) {
    tail += c;
    if (2 * tail > error) break;
    ++drop;
  }
  return drop;
}

Interval interval_of(std::vector<double> values, const Distribution& chance, double error) {
  std::sort(values.begin(), values.end());
  const std::int64_t drop = values_to_drop(chance, error);
  const double middle = median_of(values);
  if (drop < 0) return {middle, 0, 0, false};
  const auto end = static_cast<std::size_t>(drop);
  return {middle, values[end], values[values.size() - 1 - end], true};
}

// The logarithm of the best sample of each round.
std::vector<double> best_logs(std::span<const Round> rounds) {
  std::vector<double> logs;
  for (const Round& round : rounds) {
    LAMINA_CHECK(!round.ms.empty(), "A round has no samples; take at least one a round.");
    const double best = *std::min_element(round.ms.begin(), round.ms.end());
    LAMINA_CHECK(std::isfinite(best) && best > 0,
                 "A sample of {} ms is no duration; give times above zero.",
                 best);
    logs.push_back(std::log(best));
  }
  return logs;
}

// The logarithms of the yardstick, each the median of three neighbours: a burst that hits only the
// yardstick does not spoil its round. Empty when a round has none.
std::vector<double> yardstick_logs(std::span<const Round> rounds) {
  std::vector<double> logs;
  for (std::size_t i = 0; i < rounds.size(); ++i) {
    if (!(rounds[i].yardstick_ms > 0)) return {};
    std::vector<double> near;
    for (std::size_t j = i == 0 ? 0 : i - 1; j < std::min(rounds.size(), i + 2); ++j)
      near.push_back(std::log(rounds[j].yardstick_ms));
    logs.push_back(near.size() == 2 ? *std::min_element(near.begin(), near.end())
                                    : median_of(near));
  }
  return logs;
}

Interval paired_interval(std::span<const Round> base, std::span<const Round> now, double error) {
  LAMINA_CHECK(base.size() == now.size(),
               "Pairs need as many rounds before ({}) as after ({}).",
               base.size(),
               now.size());
  std::vector<double> ratios = best_logs(now);
  const std::vector<double> before = best_logs(base);
  for (std::size_t i = 0; i < ratios.size(); ++i) ratios[i] -= before[i];
  return interval_of(ratios, sign_distribution(static_cast<std::int64_t>(ratios.size())), error);
}

Interval unpaired_interval(std::span<const Round> base,
                           std::span<const Round> now,
                           double error,
                           double distrust) {
  std::vector<double> before = best_logs(base), after = best_logs(now);
  const std::vector<double> machine_before = yardstick_logs(base),
                            machine_after = yardstick_logs(now);
  double doubt = 0;
  if (!machine_before.empty() && !machine_after.empty()) {
    for (std::size_t i = 0; i < before.size(); ++i) before[i] -= machine_before[i];
    for (std::size_t i = 0; i < after.size(); ++i) after[i] -= machine_after[i];
    doubt = distrust * std::abs(median_of(machine_after) - median_of(machine_before));
  }
  std::vector<double> shifts;
  for (const double a : after) {
    for (const double b : before) shifts.push_back(a - b);
  }
  const auto n = static_cast<std::int64_t>(before.size()),
             m = static_cast<std::int64_t>(after.size());
  Interval interval = interval_of(std::move(shifts), rank_distribution(n, m), error);
  interval.low -= doubt;
  interval.high += doubt;
  return interval;
}

VerdictKind kind_of(double low, double high, double threshold) {
  if (low > 1 + threshold) return VerdictKind::slower;
  if (high < 1 / (1 + threshold)) return VerdictKind::faster;
  if (high <= 1 + threshold && low >= 1 / (1 + threshold)) return VerdictKind::same;
  return VerdictKind::ambiguous;
}

double error_of_a_look(const VerdictOpts& opts) {
  return (1 - opts.confidence) / double(std::max<std::int64_t>(1, opts.looks));
}

}  // namespace

const char* name_of(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::same:
      return "SAME";
    case VerdictKind::faster:
      return "FASTER";
    case VerdictKind::slower:
      return "SLOWER";
    case VerdictKind::ambiguous:
      break;
  }
  return "AMBIGUOUS";
}

double median_of(std::vector<double> values) {
  LAMINA_CHECK(!values.empty(), "There is no median of no values.");
  const std::size_t half = values.size() / 2;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(half);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * (*middle + *std::max_element(values.begin(), middle));
}

std::int64_t fewest_rounds(const VerdictOpts& opts) {
  std::int64_t n = 1;
  while (values_to_drop(opts.paired ? sign_distribution(n) : rank_distribution(n, n),
                        error_of_a_look(opts)) < 0)
    ++n;
  return n;
}

Verdict judge(std::span<const Round> base, std::span<const Round> now, const VerdictOpts& opts) {
  LAMINA_CHECK(opts.threshold > 0 && opts.threshold < 1,
               "The threshold is a fraction between 0 and 1, not {}; 0.05 is 5 %.",
               opts.threshold);
  LAMINA_CHECK(opts.confidence > 0 && opts.confidence < 1,
               "The confidence is a fraction between 0 and 1, not {}; 0.99 is 99 %.",
               opts.confidence);
  Verdict verdict{.count = static_cast<std::int64_t>(std::min(base.size(), now.size()))};
  const char* unit = opts.paired ? "pairs" : "rounds";
  if (verdict.count == 0) {
    verdict.text = fmt::format("no {}", unit);
    return verdict;
  }
  const Interval interval =
      opts.paired ? paired_interval(base, now, error_of_a_look(opts))
                  : unpaired_interval(base, now, error_of_a_look(opts), opts.distrust);
  verdict.ratio = std::exp(interval.middle);
  if (!interval.found) {
    verdict.text = fmt::format("{:.3f}x ({} {} are too few, {} are needed)",
                               verdict.ratio,
                               verdict.count,
                               unit,
                               fewest_rounds(opts));
    return verdict;
  }
  verdict.low = std::exp(interval.low);
  verdict.high = std::exp(interval.high);
  verdict.kind = kind_of(verdict.low, verdict.high, opts.threshold);
  verdict.text = fmt::format("{:.3f}x ({:.3f}-{:.3f}, {} {}, {:g} % interval)",
                             verdict.ratio,
                             verdict.low,
                             verdict.high,
                             verdict.count,
                             unit,
                             100 * opts.confidence);
  return verdict;
}

std::string method_text(const VerdictOpts& opts) {
  const std::string method =
      opts.paired ? fmt::format(
                        "best sample of each burst, median over pairs of bursts, sign-test "
                        "interval, {:g} % over all {} looks",
                        100 * opts.confidence,
                        opts.looks)
                  : fmt::format(
                        "best sample of each round over the round's yardstick, Hodges-Lehmann "
                        "ratio, Mann-Whitney interval, {:g} %",
                        100 * opts.confidence);
  return fmt::format("{}; SAME: all of it within {:g} %, SLOWER or FASTER: all of it beyond",
                     method,
                     100 * opts.threshold);
}

}  // namespace lamina::kernel_bench
