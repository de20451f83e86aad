// The pieces the report is made of: text, images, axes, charts.
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/core.h>
#include <png.h>

#include "engine/train/chart_axis.h"
#include "engine/train/html_text.h"
#include "engine/train/png_image.h"
#include "engine/train/svg_chart.h"
#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

TEST(escape_html, replaces_what_html_cannot_hold) {
  EXPECT_EQ(escape_html("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(escape_html("tab\tline\n"), "tab\tline\n");
  const std::string u = "\xEF\xBF\xBD";
  EXPECT_EQ(escape_html(std::string_view("\0\x1b\x7f\r", 4)), u + u + u + u);
  EXPECT_EQ(escape_html("\xC3\xA9 \xE2\x94\x9C \xF0\x9F\x98\x80"),
            "\xC3\xA9 \xE2\x94\x9C \xF0\x9F\x98\x80");
  EXPECT_EQ(escape_html("\xC3"), u);                          // cut off
  EXPECT_EQ(escape_html("\xC0\xAF"), u + u);                  // longer than needed
  EXPECT_EQ(escape_html("\xE0\x80\xAF"), u + u + u);          // longer than needed
  EXPECT_EQ(escape_html("\xED\xA0\x80"), u + u + u);          // surrogate
  EXPECT_EQ(escape_html("\xF4\x90\x80\x80"), u + u + u + u);  // beyond the last character
  EXPECT_EQ(escape_html("\xE2\x94<"), u + u + "&lt;");        // the next character survives
}

TEST(html_text, shows_numbers) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-1234567), "-1,234,567");
  EXPECT_EQ(grouped(-123), "-123");
  EXPECT_EQ(percent(0.98125), "98.12\xC2\xA0%");
  EXPECT_EQ(percent(std::nan("")), "\xE2\x80\x93");
  EXPECT_EQ(significant(0.0001), "0.0001");
  EXPECT_EQ(significant(8e-5), "8e-5");
  EXPECT_EQ(significant(1e-12), "1e-12");
  EXPECT_EQ(significant(INFINITY), "\xE2\x80\x93");
  EXPECT_EQ(measured(0.291), "0.2910");
  EXPECT_EQ(measured(1234.2), "1234");
  EXPECT_EQ(duration_text(59.94), "59.9\xC2\xA0s");
  EXPECT_EQ(duration_text(192), "3\xC2\xA0min 12\xC2\xA0s");
  EXPECT_EQ(duration_text(7384), "2\xC2\xA0h 3\xC2\xA0min");
}

std::string decoded_base64(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t group = 0;
  int bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    group = group << 6 | std::uint32_t(digits.find(c));
    bits += 6;
    if (bits >= 8) bytes += char(group >> (bits -= 8));
  }
  return bytes;
}

TEST(png_image, decodes_to_the_pixels) {
  for (const std::int64_t c : {1, 3}) {
    std::vector<std::uint8_t> pixels;
    for (int i = 0; i < 5 * 7 * c; ++i) pixels.push_back(std::uint8_t(i * 41));
    const std::string uri = png_data_uri(5, 7, c, pixels), prefix = "data:image/png;base64,";
    ASSERT_TRUE(uri.starts_with(prefix));
    EXPECT_EQ((uri.size() - prefix.size()) % 4, 0u);
    const std::string bytes = decoded_base64(uri.substr(prefix.size()));
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    ASSERT_NE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()), 0);
    EXPECT_EQ(image.width, 7u);
    EXPECT_EQ(image.height, 5u);
    EXPECT_EQ(image.format, c == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB);
    std::vector<std::uint8_t> decoded(pixels.size());
    ASSERT_NE(png_image_finish_read(&image, nullptr, decoded.data(), 0, nullptr), 0);
    EXPECT_EQ(decoded, pixels);
  }
}

TEST(png_image, refuses_what_is_no_image) {
  const std::vector<std::uint8_t> pixels(8);
  for (const auto& [h, w, c] :
       {std::array<std::int64_t, 3>{2, 2, 2}, {0, 8, 1}, {-1, -8, 1}, {2, 2, 3}})
    expect_contains(request_error_of([&, h = h, w = w, c = c] { png_data_uri(h, w, c, pixels); }),
                    "an image of the report has 8 bytes for");
}

std::vector<double> ticks_of(double low, double high, int count, bool logarithmic = false) {
  ChartAxis axis(logarithmic);
  axis.include(low);
  axis.include(high);
  return axis.ticks(count);
}

TEST(chart_axis, has_round_ticks) {
  EXPECT_EQ(ticks_of(1, 5, 6), (std::vector<double>{1, 2, 3, 4, 5}));
  EXPECT_EQ(ticks_of(0, 1000, 5), (std::vector<double>{0, 200, 400, 600, 800, 1000}));
  EXPECT_EQ(ticks_of(-1.2, 1.2, 5), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
  EXPECT_EQ(ticks_of(0.03, 1.5, 5, true).front(), 0.05);
  EXPECT_EQ(ticks_of(0.03, 1.5, 5, true).back(), 1);
}

TEST(chart_axis, stays_small_in_awkward_ranges) {
  const double tiny = std::numeric_limits<double>::denorm_min();
  const double huge = std::numeric_limits<double>::max();
  EXPECT_LE(ticks_of(1e20, 1e20 + 65536, 5).size(), 11u);
  EXPECT_LE(ticks_of(0, tiny, 5).size(), 11u);
  EXPECT_LE(ticks_of(0, huge, 5).size(), 11u);
  EXPECT_LE(ticks_of(tiny, huge, 5, true).size(), 20u);
  EXPECT_TRUE(ticks_of(-huge, huge, 5).empty());
  EXPECT_TRUE(ticks_of(3, 3, 5).empty());
}

TEST(chart_axis, places_values) {
  ChartAxis linear, logarithmic(true);
  EXPECT_TRUE(linear.empty());
  for (ChartAxis* axis : {&linear, &logarithmic}) {
    axis->include(std::nan(""));
    axis->include(0.01);
    axis->include(1);
  }
  logarithmic.include(0);
  EXPECT_FALSE(logarithmic.has_place_for(0));
  EXPECT_NEAR(logarithmic.share(0.1), 0.5, 1e-12);
  EXPECT_NEAR(linear.share(0.505), 0.5, 1e-12);
  linear.round_out();
  EXPECT_EQ(linear.low(), 0);
  ChartAxis single;
  single.include(3);
  single.widen(0.5);
  EXPECT_EQ(single.share(3), 0.5);
}

TEST(line_chart, breaks_the_line_where_values_are_missing) {
  LineChart chart{.description = "d", .x_name = "epoch"};
  chart.lines.push_back({"train", {{1, 3}, {2, 2}, {3, std::nan("")}, {4, 1}, {5, 2}}});
  const std::string svg = line_chart_svg(chart);
  std::size_t pieces = 0, dots = 0;
  for (std::size_t at = svg.find("<polyline"); at != std::string::npos;
       at = svg.find("<polyline", at + 1))
    ++pieces;
  for (std::size_t at = svg.find("<circle"); at != std::string::npos;
       at = svg.find("<circle", at + 1))
    ++dots;
  EXPECT_EQ(pieces, 2u);
  EXPECT_EQ(dots, 4u);
  expect_contains(svg, "<title>epoch 4, train: 1</title>");
}

TEST(line_chart, shows_no_shares_that_cannot_be) {
  for (const double share : {0.0, 1.0}) {
    LineChart chart{.description = "d", .x_name = "epoch", .percent = true};
    chart.lines.push_back({"train", {{1, share}, {2, share}}});
    const std::string svg = line_chart_svg(chart);
    EXPECT_EQ(svg.find(">-"), std::string::npos) << share;
    EXPECT_EQ(svg.find(">110"), std::string::npos) << share;
    expect_contains(svg, share == 0 ? ">10\xC2\xA0%<" : ">90\xC2\xA0%<");
  }
}

TEST(line_chart, keeps_the_labels_of_lines_that_meet_apart) {
  LineChart chart{.description = "d", .x_name = "epoch"};
  chart.lines.push_back({"train", {{1, 3}, {2, 1.0}}});
  chart.lines.push_back({"val", {{1, 3}, {2, 1.001}}});
  const std::string svg = line_chart_svg(chart);
  std::vector<double> heights;
  for (std::size_t at = svg.find("class=\"name\""); at != std::string::npos;
       at = svg.find("class=\"name\"", at + 1)) {
    heights.push_back(std::stod(svg.substr(svg.find("y=\"", at) + 3)));
  }
  ASSERT_EQ(heights.size(), 2u);
  EXPECT_GE(heights[1] - heights[0], 30);
  EXPECT_LT(svg.find(">val<"), svg.find(">train<")) << "the upper line has the upper label";
}

TEST(line_chart, tells_many_lines_apart) {
  LineChart chart{.description = "d", .x_name = "epoch"};
  for (std::size_t i = 0; i < kMostChartLines; ++i)
    chart.lines.push_back({fmt::format("{}", i + 1), {{1, 3}, {2, 1 + 1e-4 * double(i)}}});
  const std::string svg = line_chart_svg(chart);
  double before = 0;
  std::set<std::string> markers;
  for (std::size_t at = svg.find("class=\"name\""); at != std::string::npos;
       at = svg.find("class=\"name\"", at + 1)) {
    const double y = std::stod(svg.substr(svg.find("y=\"", at) + 3));
    EXPECT_GE(y - before, 16.9);
    EXPECT_LE(y, 240);
    before = y;
  }
  EXPECT_GT(before, 0);
  for (std::size_t i = 0; i < kMostChartLines; ++i) {
    std::string key = chart_key_svg(i);
    // Without the line, whose number differs, and without the colour of the marker.
    key = key.substr(key.find("/>") + 2);
    std::erase_if(key, [](char c) { return c >= '0' && c <= '5'; });
    markers.insert(key);
  }
  EXPECT_EQ(markers.size(), kMostChartLines);
  chart.lines.push_back({"13", {{1, 1}}});
  expect_contains(request_error_of([&] { line_chart_svg(chart); }), "takes 12 lines, not 13");
}

TEST(line_chart, writes_large_numbers_out) {
  LineChart chart{.description = "d", .x_name = "epoch", .from_zero = true};
  chart.lines.push_back({"img/s", {{1, 31'006}, {2, 31'006}}});
  const std::string svg = line_chart_svg(chart);
  expect_contains(svg, ">31,006<");
  EXPECT_EQ(svg.find("e+"), std::string::npos);
}

}  // namespace
}  // namespace lamina
