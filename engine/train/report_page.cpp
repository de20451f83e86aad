// SPDX-License-Identifier: Apache-2.0
#include "engine/train/report_page.h"

#include <fmt/core.h>

#include "engine/train/html_text.h"
#include "engine/train/report_style.h"

namespace lamina {

std::string page_html(const PageParts& parts) {
  const std::string title = escape_html(parts.title);
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body{}>\n<header>\n<h1>{}</h1>\n"
      "<p class=\"soft\">{}</p>\n<nav aria-label=\"Sections\">",
      title,
      kReportStyle,
      parts.wide ? " class=\"wide\"" : "",
      title,
      parts.subtitle);
  for (const auto& [id, section] : parts.sections) {
    if (!section.empty())
      html += fmt::format("<a href=\"#{}\">{}{}</a>", id, char(id[0] - 'a' + 'A'), id.substr(1));
  }
  html += "</nav>\n</header>\n<main>\n" + parts.lead;
  for (const PageSection& section : parts.sections) html += section.html;
  return html + "</main>\n</body>\n</html>\n";
}

}  // namespace lamina
