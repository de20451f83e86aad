// Finite differences. See table.h.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kernels/suite/table.h"

namespace lamina::suite {
namespace {

constexpr double kStep = 1e-5;        // near the cube root of the f64 roundoff, for values near 1
constexpr double kTolerance = 1e-7;   // of the gradient, or of the scalar where that is larger
constexpr double kKink = 1e-3;        // one-sided slopes of a smooth op differ by about the step
constexpr std::size_t kSamples = 40;  // elements a tensor; small tensors are checked whole

}  // namespace

void Table::check_gradients(const Problem& problem,
                            const std::string& output,
                            const std::string& seed,
                            const std::vector<GradientPair>& pairs) {
  verify(problem.name, "differences", [&](Context&) {
    std::vector<std::string> failures;
    const Outcome base = execute_ref(problem);
    const auto scalar_of = [&](const Outcome& outcome) {
      const Values& y = outcome.values.at(output);
      double sum = 0;
      for (std::size_t i = 0; i < y.size(); ++i)
        sum += seed.empty() ? y[i] : y[i] * problem.slot(seed).values[i];
      return sum;
    };
    const double centre = scalar_of(base);
    for (const auto& [input, gradient] : pairs) {
      const Values& analytic = base.values.at(gradient);
      const std::size_t stride = (analytic.size() + kSamples - 1) / kSamples;
      std::size_t tried = 0, kinks = 0;
      for (std::size_t i = 0; i < analytic.size(); i += stride) {
        const auto moved = [&](double step) {
          Problem other = problem;
          other.slot(input).values[i] += step;
          return scalar_of(execute_ref(other));
        };
        const double right = (moved(kStep) - centre) / kStep;
        const double left = (centre - moved(-kStep)) / kStep;
        const double numeric = (right + left) / 2;
        const double scale = std::max({1.0, std::abs(numeric), std::abs(centre)});
        ++tried;
        if (std::abs(right - left) > kKink * scale) {
          ++kinks;
        } else if (!(std::abs(analytic[i] - numeric) <= kTolerance * scale)) {
          failures.push_back(fmt::format("{} element {} is {}, the difference quotient of {} {}",
                                         gradient,
                                         i,
                                         analytic[i],
                                         input,
                                         numeric));
        }
      }
      if (5 * kinks > tried)
        failures.push_back(fmt::format("most of {} lies on kinks; choose other data", input));
      if (std::all_of(analytic.begin(), analytic.end(), [](double g) { return g == 0; }))
        failures.push_back(fmt::format("MISTRUSTED: {} is all zeros", gradient));
    }
    return failures;
  });
}

}  // namespace lamina::suite
