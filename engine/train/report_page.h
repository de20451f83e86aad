// The frame of a page: head, style, title, links to the sections, the sections.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lamina {

struct PageSection {
  std::string_view id;  // lower case; the link to it has it with a capital
  std::string html;     // empty: left out, and so is the link
};

struct PageParts {
  std::string title;      // plain text
  std::string subtitle;   // HTML
  bool wide = false;      // for wide tables
  std::string lead = {};  // HTML in front of the sections
  std::vector<PageSection> sections = {};
};

std::string page_html(const PageParts& parts);

}  // namespace lamina
