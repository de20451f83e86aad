// SPDX-License-Identifier: Apache-2.0
#include "engine/train/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include <fmt/core.h>

#include "engine/core/error.h"
#include "engine/train/chart_axis.h"
#include "engine/train/html_text.h"

namespace lamina {
namespace {

// Lines that fall or rise further than this by a factor need a logarithmic axis.
constexpr double kLinearSpan = 20;

// In the units of the view box; the style sheet scales the type, not these.
constexpr double kWidth = 480, kHeight = 260;
constexpr double kLeft = 58, kRight = 390, kTop = 22, kBottom = 232;
constexpr double kLabelHeight = 36;       // two lines of type
constexpr double kNameHeight = 17;        // one
constexpr std::size_t kMostMarkers = 12;  // more would hide the dashes

// Whole numbers where four digits would need an exponent: 31,006.
std::string shown(double value) {
  const bool large = std::abs(value) >= 10'000 && std::abs(value) < 1e7;
  return large ? grouped(std::llround(value)) : significant(value);
}

// Dots and signs are told apart by shape and filling; the second half of the lines has the shapes
// of the first, filled where those are hollow.
std::string marker_svg(std::size_t number, double x, double y, std::string_view title) {
  constexpr std::size_t kShapes = kMostChartLines / 2;
  const std::size_t shape = number % kShapes;
  const bool hollow = (number % 2 == 1) != (number >= kShapes);
  const std::string style = fmt::format("{}{}", hollow ? "hollow hollow" : "dot dot", shape);
  const auto path = [&](std::string_view points) {
    return fmt::format(
        "<path class=\"{}\" transform=\"translate({:.1f} {:.1f})\" d=\"{}\"", style, x, y, points);
  };
  std::string tag = "path", svg;
  switch (shape) {
    case 0:
      tag = "circle";
      svg = fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"", style, x, y);
      break;
    case 1:
      tag = "rect";
      svg = fmt::format("<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"6\" height=\"6\"",
                        style,
                        x - 3,
                        y - 3);
      break;
    case 2:
      svg = path("M0 -4.2L3.9 2.8H-3.9Z");
      break;
    case 3:
      svg = path("M0 -4.5L4.5 0L0 4.5L-4.5 0Z");
      break;
    case 4:
      svg = path("M0 4.2L3.9 -2.8H-3.9Z");
      break;
    default:
      svg = path("M-1.4 -4.2H1.4V-1.4H4.2V1.4H1.4V4.2H-1.4V1.4H-4.2V-1.4H-1.4Z");
      break;
  }
  if (title.empty()) return svg + "/>\n";
  return fmt::format("{}><title>{}</title></{}>\n", svg, escape_html(title), tag);
}

class Drawing {
 public:
  explicit Drawing(const LineChart& chart) : chart_(chart), y_(chart.log_y) { choose_ranges(); }

  std::string svg() {
    out_ =
        fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
                    kWidth,
                    kHeight,
                    escape_html(chart_.description));
    if (x_.empty() || y_.empty()) {
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
    if (x_.empty()) return;
    for (const ChartBand& bar : chart_.band) {
      y_.include(bar.low);
      y_.include(bar.high);
    }
    if (chart_.from_zero) y_.include(0);
    x_.widen(0.5);
    if (chart_.percent && y_.low() == y_.high()) {  // no share is below 0 or above 1
      const double share = y_.low();
      y_.include(std::max(0.0, share - 0.1));
      y_.include(std::min(1.0, share + 0.1));
    }
    if (chart_.log_y) {  // its ends are no round numbers: no marker lies on the axis
      y_.include(y_.low() / 1.25);
      y_.include(y_.high() * 1.25);
    }
    y_.widen(y_.low() == 0 ? 1 : std::abs(y_.low()) * 0.1);
    y_.round_out(chart_.percent ? 1 : std::numeric_limits<double>::infinity());
  }

  bool drawable(const ChartPoint& point) const {
    return x_.has_place_for(point.x) && y_.has_place_for(point.y);
  }

  double px(double x) const { return kLeft + x_.share(x) * (kRight - kLeft); }
  double py(double y) const { return kBottom - y_.share(y) * (kBottom - kTop); }

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
    return chart_.percent ? fmt::format("{:.4g}\xC2\xA0%", 100 * y) : shown(y);
  }

  static std::string x_text(double x) {
    return std::abs(x) >= 10000 ? fmt::format("{:.4g}k", x / 1000) : fmt::format("{:.4g}", x);
  }

  void axes() {
    for (double y : y_.ticks(5)) {
      out_ += fmt::format(
          "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>\n",
          kLeft,
          kRight,
          py(y));
      text(kLeft - 7, py(y) + 4.5, "axis", "end", y_text(y));
    }
    for (double x : x_.ticks(6)) {
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
    if (!chart_.markers) return;
    // Counted from the end, where the label is.
    const std::size_t stride = line.points.size() / kMostMarkers + 1;
    for (std::size_t i = 0; i < line.points.size(); i += stride) {
      const ChartPoint& point = line.points[line.points.size() - 1 - i];
      if (drawable(point)) marker(number, point);
    }
  }

  void marker(std::size_t number, const ChartPoint& point) {
    const double x = px(point.x), y = py(point.y);
    const std::string title = fmt::format("{} {}, {}: {}",
                                          chart_.x_name,
                                          x_text(point.x),
                                          chart_.lines[number].name,
                                          chart_.percent ? percent(point.y) : shown(point.y));
    out_ += marker_svg(number, x, y, title);
  }

  struct Label {
    std::size_t number;
    double value, y;
  };

  // A sample of the line, its name and, of two lines at most, its last value, right of where it
  // ends; moved apart where ends meet, the upper line keeping the upper label.
  void end_labels() {
    std::vector<Label> labels;
    for (std::size_t i = 0; i < chart_.lines.size(); ++i) {
      const auto& points = chart_.lines[i].points;
      const auto last = std::find_if(
          points.rbegin(), points.rend(), [&](const ChartPoint& point) { return drawable(point); });
      if (last != points.rend()) labels.push_back({i, last->y, py(last->y)});
    }
    std::stable_sort(
        labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.y < b.y; });
    const bool values = chart_.lines.size() <= 2;
    spread(values ? kLabelHeight : kNameHeight, kTop + 8, kBottom - (values ? 14 : 0), labels);
    for (const Label& label : labels) {
      out_ += fmt::format(
          "<line class=\"line line{0}\" x1=\"{1}\" x2=\"{2}\" y1=\"{3:.1f}\" y2=\"{3:.1f}\"/>\n",
          label.number,
          kRight + 10,
          kRight + 30,
          label.y - 4);
      if (!values) out_ += marker_svg(label.number, kRight + 20, label.y - 4, "");
      text(kRight + 35, label.y, "name", "start", chart_.lines[label.number].name);
      if (!values) continue;
      text(kRight + 10,
           label.y + 15,
           "value",
           "start",
           chart_.percent ? percent(label.value) : shown(label.value));
    }
  }

  // Moves labels that are sorted by y to at least `gap` apart, two of them by the same way.
  static void spread(double gap, double top, double bottom, std::vector<Label>& labels) {
    if (labels.size() == 2 && labels[1].y - labels[0].y < gap) {
      const double centre = (labels[0].y + labels[1].y) / 2;
      labels[0].y = centre - gap / 2;
      labels[1].y = centre + gap / 2;
    }
    double least = top;
    for (Label& label : labels) {
      label.y = std::max(label.y, least);
      least = label.y + gap;
    }
    double most = bottom;
    for (auto label = labels.rbegin(); label != labels.rend(); ++label) {
      label->y = std::min(label->y, most);
      most = label->y - gap;
    }
  }

  const LineChart& chart_;
  ChartAxis x_, y_;
  std::string out_;
};

}  // namespace

std::string line_chart_svg(const LineChart& chart) {
  LAMINA_CHECK(chart.lines.size() <= kMostChartLines,
               "a chart takes {} lines, not {}; draw fewer.",
               kMostChartLines,
               chart.lines.size());
  return Drawing(chart).svg();
}

std::string chart_key_svg(std::size_t number) {
  return fmt::format(
      "<svg class=\"chart key\" viewBox=\"0 0 40 12\" aria-hidden=\"true\">"
      "<line class=\"line line{}\" x1=\"1\" x2=\"39\" y1=\"6\" y2=\"6\"/>{}</svg>",
      number,
      marker_svg(number, 20, 6, ""));
}

bool spans_decades(const LineChart& chart) {
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (const ChartLine& line : chart.lines) {
    for (const ChartPoint& point : line.points) {
      if (!std::isfinite(point.y)) continue;
      low = std::min(low, point.y);
      high = std::max(high, point.y);
    }
  }
  return low > 0 && high > kLinearSpan * low;
}

}  // namespace lamina
