// Line charts as inline SVG. Colours and type come from the style sheet of the page
// (report_style.h); lines are told apart by dash, marker and a label at their end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lamina {

struct ChartPoint {
  double x = 0, y = 0;
};

struct ChartLine {
  std::string name;
  std::vector<ChartPoint> points =
      {};  // by rising x; points that are not finite interrupt the line
};

// From the lowest to the highest value around x.
struct ChartBand {
  double x = 0, low = 0, high = 0;
};

struct LineChart {
  std::string description;  // for those who cannot see it
  std::string x_name;
  // At most kMostChartLines; each has a dash and a marker of its own.
  std::vector<ChartLine> lines = {};
  std::vector<ChartBand> band = {};  // behind the lines
  std::optional<ChartPoint> mark = {};
  std::string mark_name = {};
  bool percent = false;    // y is a fraction, shown in percent
  bool from_zero = false;  // the y axis starts at 0
  bool log_y = false;      // logarithmic; values up to 0 are left out
  bool markers = true;     // on some of the points
};

std::string line_chart_svg(const LineChart& chart);

// Whether the lines fall or rise so far, and stay above 0, that only a logarithmic axis shows all.
bool spans_decades(const LineChart& chart);

inline constexpr std::size_t kMostChartLines = 12;

// A sample of line `number` with its marker, for a legend outside of the chart.
std::string chart_key_svg(std::size_t number);

}  // namespace lamina
