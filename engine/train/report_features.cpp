// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/core.h>

#include "engine/train/html_text.h"
#include "engine/train/png_image.h"
#include "engine/train/report_sections.h"

namespace lamina {
namespace {

std::string layer_figure(const FeatureMaps& maps) {
  std::string html = "<figure class=\"layer\"><figcaption><b>" + escape_html(maps.layer) + "</b>";
  html += fmt::format(
      "{} map{} of {}\xC2\xA0x\xC2\xA0{}", grouped(maps.c), maps.c == 1 ? "" : "s", maps.h, maps.w);
  if (static_cast<std::int64_t>(maps.tiles.size()) < maps.c)
    html += fmt::format(", the first {}", maps.tiles.size());
  html += fmt::format(
      "<br/>black {:.3g}, white {:.3g}</figcaption>\n<div class=\"maps\">", maps.low, maps.high);
  for (std::size_t i = 0; i < maps.tiles.size(); ++i) {
    html += fmt::format("<img alt=\"map {}\" src=\"{}\"/>",
                        i,
                        png_data_uri(maps.tile_h, maps.tile_w, 1, maps.tiles[i]));
  }
  return html + "</div></figure>\n";
}

}  // namespace

std::string features_section(const RunReport& report) {
  const FeatureView& view = report.features;
  if (view.layers.empty()) return "";
  std::string html = fmt::format(
      "<section id=\"features\"><h2>Feature maps</h2>\n"
      "<p class=\"soft\">One test image, and what the first convolutions of the trained net make "
      "of it, before their activations. The maps of a layer share one scale of grey.</p>\n"
      "<figure class=\"layer\"><figcaption><b>input</b>test image no. {}, of class {}"
      "</figcaption>\n<div class=\"maps one\"><img alt=\"test image {}\" src=\"{}\"/></div>"
      "</figure>\n",
      grouped(view.index),
      class_name(report, view.label),
      view.index,
      png_data_uri(view.h, view.w, view.c, view.pixels));
  for (const FeatureMaps& maps : view.layers) html += layer_figure(maps);
  return html + "</section>\n";
}

}  // namespace lamina
