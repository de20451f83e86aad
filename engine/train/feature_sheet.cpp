// SPDX-License-Identifier: Apache-2.0
#include "engine/train/feature_sheet.h"

#include <algorithm>
#include <cmath>
#include <span>

#include <fmt/core.h>

namespace lamina {
namespace {

constexpr std::uint8_t kPaper = 255, kFrame = 170;
constexpr std::int64_t kMargin = 20, kGap = 5, kLine = kLetterHeight + 4;
constexpr std::int64_t kTileSide = 64, kImageSide = 4 * kTileSide + 3 * kGap;  // in pixels
constexpr std::int64_t kMostLetters = 40;
constexpr std::size_t kPanelsInRow = 5;

// A block of equal images below lines of text.
struct Panel {
  std::vector<std::string> lines;
  std::int64_t h = 0, w = 0, c = 1, zoom = 1, columns = 1;
  std::vector<std::span<const std::uint8_t>> images;

  std::int64_t rows() const { return (std::ssize(images) + columns - 1) / columns; }
  std::int64_t text_height() const { return kLine * std::ssize(lines) + 2; }
  std::int64_t height() const { return text_height() + rows() * (h * zoom + kGap); }
  std::int64_t width() const {
    std::int64_t width = columns * (w * zoom + kGap) - kGap;
    for (const std::string& line : lines) width = std::max(width, std::ssize(line) * kLetterWidth);
    return width;
  }
};

std::int64_t zoom_to(std::int64_t side, std::int64_t h, std::int64_t w) {
  return std::max<std::int64_t>(1, side / std::max(h, w));
}

// The end of a long name says more than its beginning.
std::string short_name(const std::string& name) {
  return std::ssize(name) <= kMostLetters
             ? name
             : ".." + name.substr(name.size() - static_cast<std::size_t>(kMostLetters - 2));
}

Panel panel_of(const FeatureMaps& maps) {
  const std::int64_t count = std::ssize(maps.tiles);
  Panel panel{.lines = {short_name(maps.layer),
                        fmt::format("{} of {}x{}", maps.c, maps.h, maps.w) +
                            (count < maps.c ? fmt::format(", first {}", count) : ""),
                        fmt::format("black {:.3g}, white {:.3g}", maps.low, maps.high)},
              .h = maps.tile_h,
              .w = maps.tile_w,
              .zoom = zoom_to(kTileSide, maps.tile_h, maps.tile_w),
              .columns = static_cast<std::int64_t>(std::ceil(std::sqrt(double(count)))),
              .images = {}};
  for (const std::vector<std::uint8_t>& tile : maps.tiles) panel.images.emplace_back(tile);
  return panel;
}

void draw_image(const Panel& panel,
                std::span<const std::uint8_t> pixels,
                std::int64_t top,
                std::int64_t left,
                Picture& sheet) {
  const std::int64_t height = panel.h * panel.zoom, width = panel.w * panel.zoom;
  // A frame of one pixel: maps that are white at their edge end somewhere too.
  for (std::int64_t y = -1; y <= height; ++y) {
    for (std::int64_t x = -1; x <= width; ++x) {
      const bool inside = y >= 0 && y < height && x >= 0 && x < width;
      const std::int64_t from = (y / panel.zoom * panel.w + x / panel.zoom) * panel.c;
      for (std::int64_t c = 0; c < sheet.c; ++c) {
        sheet.pixels[static_cast<std::size_t>(((top + y) * sheet.w + left + x) * sheet.c + c)] =
            inside ? pixels[static_cast<std::size_t>(from + (panel.c == 1 ? 0 : c))] : kFrame;
      }
    }
  }
}

void draw_panel(const Panel& panel, std::int64_t top, std::int64_t left, Picture& sheet) {
  for (std::size_t i = 0; i < panel.lines.size(); ++i)
    draw_text(panel.lines[i], top + static_cast<std::int64_t>(i) * kLine, left, sheet);
  top += panel.text_height();
  for (std::int64_t i = 0; i < std::ssize(panel.images); ++i) {
    draw_image(panel,
               panel.images[static_cast<std::size_t>(i)],
               top + i / panel.columns * (panel.h * panel.zoom + kGap),
               left + i % panel.columns * (panel.w * panel.zoom + kGap),
               sheet);
  }
}

}  // namespace

Picture feature_sheet(const FeatureView& view, const std::string& about) {
  std::vector<Panel> panels{{.lines = {"input", short_name(about), "black 0, white 255"},
                             .h = view.h,
                             .w = view.w,
                             .c = view.c,
                             .zoom = zoom_to(kImageSide, view.h, view.w),
                             .images = {view.pixels}}};
  for (const FeatureMaps& maps : view.layers) panels.push_back(panel_of(maps));
  Picture sheet{.h = kMargin, .w = 0, .c = view.c, .pixels = {}};
  std::vector<std::int64_t> tops;  // of the rows
  for (std::size_t first = 0; first < panels.size(); first += kPanelsInRow) {
    std::int64_t height = 0, width = kMargin;
    for (std::size_t i = first; i < std::min(first + kPanelsInRow, panels.size()); ++i) {
      height = std::max(height, panels[i].height());
      width += panels[i].width() + kMargin;
    }
    tops.push_back(sheet.h);
    sheet.h += height + kMargin;
    sheet.w = std::max(sheet.w, width);
  }
  sheet.pixels.assign(static_cast<std::size_t>(sheet.h * sheet.w * sheet.c), kPaper);
  std::int64_t left = kMargin;
  for (std::size_t i = 0; i < panels.size(); ++i) {
    if (i % kPanelsInRow == 0) left = kMargin;
    draw_panel(panels[i], tops[i / kPanelsInRow], left, sheet);
    left += panels[i].width() + kMargin;
  }
  return sheet;
}

}  // namespace lamina
