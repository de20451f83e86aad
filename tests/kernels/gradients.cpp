// Finite differences. See harness.h.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "tests/kernels/harness.h"

namespace lamina::test {
namespace {

constexpr double kStep = 1e-5;        // near the cube root of the f64 roundoff, for values near 1
constexpr double kTolerance = 1e-7;   // of the gradient, or of the scalar where that is larger
constexpr double kKink = 1e-3;        // one-sided slopes of a smooth op differ by about the step
constexpr std::size_t kSamples = 40;  // elements a tensor; small tensors are checked whole

}  // namespace

void check_gradients(const Problem& problem,
                     const std::string& output,
                     const std::string& seed,
                     const std::vector<GradientPair>& pairs) {
  SCOPED_TRACE(problem.name);
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
      const double right = (moved(kStep) - centre) / kStep, left = (centre - moved(-kStep)) / kStep;
      const double numeric = (right + left) / 2;
      const double scale = std::max({1.0, std::abs(numeric), std::abs(centre)});
      ++tried;
      if (std::abs(right - left) > kKink * scale) {
        ++kinks;
        continue;
      }
      EXPECT_NEAR(analytic[i], numeric, kTolerance * scale)
          << gradient << " element " << i << " against the difference quotient of " << input;
    }
    EXPECT_LE(5 * kinks, tried) << "most of " << input << " lies on kinks; choose other data";
    EXPECT_TRUE(std::any_of(analytic.begin(), analytic.end(), [](double g) { return g != 0; }))
        << "MISTRUSTED: " << gradient << " is all zeros";
  }
}

}  // namespace lamina::test
