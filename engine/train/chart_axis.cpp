// SPDX-License-Identifier: Apache-2.0
#include "engine/train/chart_axis.h"

#include <algorithm>
#include <cmath>

namespace lamina {

bool ChartAxis::has_place_for(double value) const {
  return std::isfinite(value) && (!logarithmic_ || value > 0);
}

void ChartAxis::include(double value) {
  if (!has_place_for(value)) return;
  low_ = std::min(low_, value);
  high_ = std::max(high_, value);
}

void ChartAxis::widen(double room) {
  if (low_ != high_) return;
  low_ -= logarithmic_ ? low_ / 2 : room;
  high_ += room;
}

void ChartAxis::round_out(double most) {
  const std::vector<double> marks = ticks(5);
  if (logarithmic_ || marks.size() < 2) return;
  const double step = marks[1] - marks[0];
  low_ = std::floor(low_ / step + 1e-9) * step;
  high_ = std::max(high_, std::min(most, std::ceil(high_ / step - 1e-9) * step));
}

bool ChartAxis::empty() const { return !std::isfinite(high_ - low_); }

double ChartAxis::share(double value) const {
  // Differences of logarithms: the quotient of two values may be too large for a double.
  return logarithmic_ ? (std::log(value) - std::log(low_)) / (std::log(high_) - std::log(low_))
                      : (value - low_) / (high_ - low_);
}

std::vector<double> ChartAxis::ticks(int count) const {
  if (empty() || !(high_ > low_)) return {};
  return logarithmic_ ? logarithmic_ticks(count) : linear_ticks(count);
}

std::vector<double> ChartAxis::linear_ticks(int count) const {
  const double rough = (high_ - low_) / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double factor = rough / power - 1e-9;
  const double step = power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
  // Multiplied, not added up, so that no rounding grows along the axis.
  const double first = std::ceil(low_ / step - 1e-9), last = std::floor(high_ / step + 1e-9);
  std::vector<double> marks;
  for (int i = 0; first + i <= last; ++i)
    marks.push_back((first + i) * step + 0.0);  // + 0.0 turns -0 into 0
  return marks;
}

std::vector<double> ChartAxis::logarithmic_ticks(int count) const {
  const int first = static_cast<int>(std::floor(std::log10(low_)));
  const int last = static_cast<int>(std::ceil(std::log10(high_)));
  const int decades = last - first;
  const int stride = (decades + count - 1) / count;
  std::vector<double> marks;
  for (int exponent = first; exponent <= last; exponent += stride) {
    for (double factor : {1.0, 2.0, 5.0}) {
      const double mark = factor * std::pow(10.0, exponent);
      const bool wanted = factor == 1 || 3 * decades <= 2 * count;
      if (wanted && mark >= low_ && mark <= high_) marks.push_back(mark);
    }
  }
  return marks;
}

}  // namespace lamina
