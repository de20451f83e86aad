// SPDX-License-Identifier: Apache-2.0
#include "engine/train/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include <fmt/core.h>

#include "engine/train/html_text.h"

namespace lamina {
namespace {

// In the units of the view box; the style sheet scales the type, not these.
constexpr double kWidth = 480, kHeight = 260;
constexpr double kLeft = 58, kRight = 390, kTop = 22, kBottom = 232;
constexpr double kLabelHeight = 36;  // two lines of type
constexpr std::size_t kMostMarkers = 40;

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

// 1, 2 and 5 times each power of ten inside [low, high]; the powers alone when these are many.
std::vector<double> log_ticks(double low, double high) {
  std::vector<double> ticks;
  const bool many = high / low > 500;
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  for (int exponent = first; exponent <= last; ++exponent) {
    for (double factor : {1.0, 2.0, 5.0}) {
      const double tick = factor * std::pow(10.0, exponent);
      if (tick >= low && tick <= high && (factor == 1 || !many)) ticks.push_back(tick);
    }
  }
  return ticks;
}

class Drawing {
 public:
  explicit Drawing(const LineChart& chart) : chart_(chart) { choose_ranges(); }

  std::string svg() {
    out_ =
        fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
                    kWidth,
                    kHeight,
                    escape_html(chart_.description));
    if (!(std::isfinite(x_.high - x_.low) && std::isfinite(y_.high - y_.low))) {
      text(kLeft, kTop + 20, "axis", "start", "No finite values.");
    } else {
      axes();
      band();
      mark();
      for (std::size_t i = 0; i < chart_.lines.size(); ++i) line(i);
      end_labels();
    }
    return out_ + "</svg>\n";
  }

 private:
  void choose_ranges() {
    for (const ChartLine& line : chart_.lines) {
      for (const ChartPoint& point : line.points) {
        if (!drawable(point)) continue;
        x_.include(point.x);
        y_.include(point.y);
      }
    }
    for (const ChartBand& bar : chart_.band) {
      if (drawable({bar.x, bar.low})) y_.include(bar.low);
      if (drawable({bar.x, bar.high})) y_.include(bar.high);
    }
    if (x_.low > x_.high) return;
    if (chart_.from_zero && !chart_.log_y) y_.include(0);
    // A single value still needs an axis of some length.
    if (x_.low == x_.high) x_ = {x_.low - 0.5, x_.high + 0.5};
    if (y_.low == y_.high) {
      const double room = y_.low == 0 ? 1 : std::abs(y_.low) * 0.1;
      y_ = {y_.low - room, y_.high + room};
    }
    if (chart_.log_y) return;
    // The axis ends at round numbers, where that adds little.
    const std::vector<double> ticks = round_ticks(y_.low, y_.high, 5);
    if (ticks.size() > 1) {
      const double step = ticks[1] - ticks[0];
      y_.low = std::floor(y_.low / step + 1e-9) * step;
      y_.high = std::ceil(y_.high / step - 1e-9) * step;
    }
    if (chart_.percent) y_.high = std::min(y_.high, std::max(1.0, y_.low));
  }

  // A logarithmic axis has no place for zero.
  bool drawable(const ChartPoint& point) const {
    return std::isfinite(point.x) && std::isfinite(point.y) && (!chart_.log_y || point.y > 0);
  }

  double px(double x) const { return kLeft + (x - x_.low) / (x_.high - x_.low) * (kRight - kLeft); }
  double py(double y) const {
    const double share = chart_.log_y ? std::log(y / y_.low) / std::log(y_.high / y_.low)
                                      : (y - y_.low) / (y_.high - y_.low);
    return kBottom - share * (kBottom - kTop);
  }

  void text(double x,
            double y,
            std::string_view style,
            std::string_view anchor,
            std::string_view content) {
    out_ +=
        fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n",
                    style,
                    x,
                    y,
                    anchor,
                    escape_html(content));
  }

  std::string y_text(double y) const {
    return chart_.percent ? fmt::format("{:.4g}\xC2\xA0%", 100 * y) : significant(y);
  }

  static std::string x_text(double x) {
    return std::abs(x) >= 10000 ? fmt::format("{:.4g}k", x / 1000) : fmt::format("{:.4g}", x);
  }

  void axes() {
    const std::vector<double> y_ticks =
        chart_.log_y ? log_ticks(y_.low, y_.high) : round_ticks(y_.low, y_.high, 5);
    for (double y : y_ticks) {
      out_ += fmt::format(
          "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>\n",
          kLeft,
          kRight,
          py(y));
      text(kLeft - 7, py(y) + 4.5, "axis", "end", y_text(y));
    }
    for (double x : round_ticks(x_.low, x_.high, 6)) {
      // Epochs and steps are whole numbers.
      if (x != std::round(x)) continue;
      out_ += fmt::format(
          "<line class=\"tick\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>\n",
          px(x),
          kBottom,
          kBottom + 5);
      text(px(x), kBottom + 20, "axis", "middle", x_text(x));
    }
    out_ += fmt::format("<line class=\"tick\" x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\"/>\n",
                        kLeft,
                        kRight,
                        kBottom);
    text(kWidth, kBottom + 20, "axis", "end", chart_.x_name);
  }

  void band() {
    if (chart_.band.empty()) return;
    std::string points;
    const auto add = [&](double x, double y) {
      if (drawable({x, y})) points += fmt::format("{:.1f},{:.1f} ", px(x), py(y));
    };
    for (const ChartBand& bar : chart_.band) add(bar.x, bar.high);
    for (auto bar = chart_.band.rbegin(); bar != chart_.band.rend(); ++bar) add(bar->x, bar->low);
    out_ += fmt::format("<polygon class=\"band\" points=\"{}\"/>\n", points);
  }

  void mark() {
    if (!chart_.mark || !drawable(*chart_.mark)) return;
    const double x = px(chart_.mark->x);
    out_ +=
        fmt::format("<line class=\"mark\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>\n",
                    x,
                    kTop,
                    kBottom);
    const std::string_view anchor = x > kRight - 60 ? "end" : x < kLeft + 60 ? "start" : "middle";
    text(x, kTop - 7, "axis", anchor, chart_.mark_name);
  }

  void line(std::size_t number) {
    const ChartLine& line = chart_.lines[number];
    std::string points;
    const auto stroke = [&] {
      if (!points.empty())
        out_ += fmt::format("<polyline class=\"line line{}\" points=\"{}\"/>\n", number, points);
      points.clear();
    };
    for (const ChartPoint& point : line.points) {
      if (drawable(point)) {
        points += fmt::format("{:.1f},{:.1f} ", px(point.x), py(point.y));
      } else {
        stroke();
      }
    }
    stroke();
    if (!chart_.markers || line.points.size() > kMostMarkers) return;
    for (const ChartPoint& point : line.points) {
      if (drawable(point)) marker(number, point);
    }
  }

  void marker(std::size_t number, const ChartPoint& point) {
    const double x = px(point.x), y = py(point.y);
    const std::string title = fmt::format("{} {}, {}: {}",
                                          chart_.x_name,
                                          x_text(point.x),
                                          chart_.lines[number].name,
                                          chart_.percent ? percent(point.y) : significant(point.y));
    out_ += number == 0
                ? fmt::format("<circle class=\"dot0\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\">", x, y)
                : fmt::format(
                      "<rect class=\"dot1\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"6\" height=\"6\">",
                      x - 3,
                      y - 3);
    out_ += fmt::format(
        "<title>{}</title></{}>\n", escape_html(title), number == 0 ? "circle" : "rect");
  }

  // A sample of the line, its name and its last value, right of where it ends; moved apart where
  // the ends meet, the upper line keeping the upper label.
  void end_labels() {
    struct Label {
      std::size_t number;
      double value, y;
    };
    std::vector<Label> labels;
    for (std::size_t i = 0; i < chart_.lines.size(); ++i) {
      const auto& points = chart_.lines[i].points;
      const auto last = std::find_if(
          points.rbegin(), points.rend(), [&](const ChartPoint& point) { return drawable(point); });
      if (last != points.rend()) labels.push_back({i, last->y, py(last->y)});
    }
    std::stable_sort(
        labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.y < b.y; });
    if (labels.size() == 2 && labels[1].y - labels[0].y < kLabelHeight) {
      const double centre = (labels[0].y + labels[1].y) / 2;
      labels[0].y = centre - kLabelHeight / 2;
      labels[1].y = centre + kLabelHeight / 2;
    }
    double shift = 0;
    for (const Label& label : labels) shift = std::max(shift, kTop + 8 - label.y);
    for (const Label& label : labels) shift = std::min(shift, kBottom - 14 - label.y);
    for (const Label& label : labels) {
      const double y = label.y + shift;
      out_ += fmt::format(
          "<line class=\"line line{0}\" x1=\"{1}\" x2=\"{2}\" y1=\"{3:.1f}\" y2=\"{3:.1f}\"/>\n",
          label.number,
          kRight + 10,
          kRight + 30,
          y - 4);
      text(kRight + 35, y, "name", "start", chart_.lines[label.number].name);
      text(kRight + 10,
           y + 15,
           "value",
           "start",
           chart_.percent ? percent(label.value) : significant(label.value));
    }
  }

  const LineChart& chart_;
  Range x_, y_;
  std::string out_;
};

}  // namespace

std::vector<double> round_ticks(double low, double high, int count) {
  std::vector<double> ticks;
  if (!(high > low) || !std::isfinite(high - low)) return ticks;
  const double rough = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double step = rough / power <= 1   ? power
                      : rough / power <= 2 ? 2 * power
                      : rough / power <= 5 ? 5 * power
                                           : 10 * power;
  // Multiplied, not added up, so that no rounding grows along the axis.
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (int i = 0; i <= 2 * count && first + i <= last; ++i) {
    ticks.push_back((first + i) * step + 0.0);  // + 0.0 turns -0 into 0
  }
  return ticks;
}

std::string line_chart_svg(const LineChart& chart) { return Drawing(chart).svg(); }

}  // namespace lamina
