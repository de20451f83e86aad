// One axis of a chart: its range, its round numbers, where a value lies on it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <vector>

namespace lamina {

class ChartAxis {
 public:
  explicit ChartAxis(bool logarithmic = false) : logarithmic_(logarithmic) {}

  // Finite and, on a logarithmic axis, positive.
  bool has_place_for(double value) const;
  // Values without a place are passed over.
  void include(double value);
  // After the last include: gives a single value some room.
  void widen(double room);
  // Moves the ends of a linear axis out to round numbers, the upper one not beyond `most`.
  void round_out(double most = std::numeric_limits<double>::infinity());

  bool empty() const;                // no value was included, or they span more than a double holds
  double share(double value) const;  // 0 at the low end, 1 at the high end
  // Round numbers on the axis, about `count` of them: 1, 2 or 5 times a power of ten apart or, on a
  // logarithmic axis, 1, 2 and 5 times powers of ten.
  std::vector<double> ticks(int count) const;
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  std::vector<double> linear_ticks(int count) const;
  std::vector<double> logarithmic_ticks(int count) const;

  bool logarithmic_;
  double low_ = std::numeric_limits<double>::infinity();
  double high_ = -std::numeric_limits<double>::infinity();
};

}  // namespace lamina
