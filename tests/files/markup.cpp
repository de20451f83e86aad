// SPDX-License-Identifier: Apache-2.0
#include "tests/files/markup.h"

#include <set>
#include <vector>

#include <fmt/core.h>

namespace lamina {
namespace {

class Checker {
 public:
  explicit Checker(const std::string& html) : html_(html) {}

  std::string run() {
    const std::string doctype = "<!DOCTYPE html>";
    if (html_.compare(0, doctype.size(), doctype) != 0) return "no doctype";
    at_ = doctype.size();
    while (error_.empty() && at_ < html_.size()) {
      if (html_[at_] == '<') {
        tag();
      } else {
        character();
      }
    }
    if (error_.empty() && !open_.empty()) wrong("<" + open_.back() + "> is not closed");
    return error_;
  }

 private:
  void wrong(const std::string& what) {
    if (error_.empty()) error_ = fmt::format("byte {}: {}", at_, what);
  }

  void character() {
    const auto c = static_cast<unsigned char>(html_[at_]);
    if (c < 0x20 && c != '\n' && c != '\t') wrong("control character");
    if (c == '>') wrong("stray >");
    if (c == '&') {
      const std::size_t end = html_.find(';', at_);
      const std::string entity = html_.substr(at_ + 1, end - at_ - 1);
      const std::set<std::string> known = {"amp", "lt", "gt", "quot", "#39"};
      if (known.count(entity) == 0) wrong("unknown entity &" + entity.substr(0, 10));
    }
    ++at_;
  }

  std::string name() {
    const std::size_t begin = at_;
    while (at_ < html_.size() && (std::isalnum(static_cast<unsigned char>(html_[at_])) != 0 ||
                                  html_[at_] == '-' || html_[at_] == ':')) {
      ++at_;
    }
    if (at_ == begin) wrong("a name is missing");
    return html_.substr(begin, at_ - begin);
  }

  bool take(const std::string& text) {
    if (html_.compare(at_, text.size(), text) != 0) return false;
    at_ += text.size();
    return true;
  }

  void attributes() {
    std::set<std::string> seen;
    while (error_.empty() && take(" ")) {
      if (!seen.insert(name()).second) wrong("an attribute twice");
      if (!take("=\"")) return wrong("an attribute is not quoted");
      while (error_.empty() && at_ < html_.size() && html_[at_] != '"') {
        if (html_[at_] == '<') wrong("< in an attribute");
        character();
      }
      ++at_;
    }
  }

  void tag() {
    if (take("</")) {
      const std::string closed = name();
      if (open_.empty() || open_.back() != closed) return wrong("</" + closed + "> closes nothing");
      open_.pop_back();
      if (!take(">")) wrong("a closing tag has no end");
      return;
    }
    take("<");
    const std::string opened = name();
    attributes();
    if (take("/>") || !error_.empty()) return;
    if (!take(">")) return wrong("<" + opened + " has no end");
    open_.push_back(opened);
    // The style sheet is raw text.
    if (opened == "style") at_ = html_.find("</style>", at_);
  }

  const std::string& html_;
  std::size_t at_ = 0;
  std::vector<std::string> open_;
  std::string error_;
};

}  // namespace

std::string markup_error(const std::string& html) { return Checker(html).run(); }

}  // namespace lamina
