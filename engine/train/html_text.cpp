// SPDX-License-Identifier: Apache-2.0
#include "engine/train/html_text.h"

#include <cmath>

#include <fmt/core.h>

namespace lamina {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kNoBreak = "\xC2\xA0";
constexpr const char* kDash = "\xE2\x80\x93";

// The length of the UTF-8 character at the front, or 0 when the bytes are none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned lead = byte(0);
  const std::size_t length = lead < 0x80                    ? 1
                             : lead >= 0xC2 && lead <= 0xDF ? 2
                             : lead >= 0xE0 && lead <= 0xEF ? 3
                             : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                            : 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Longer than needed, a surrogate, or above the last code point.
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;
  if (lead == 0xED && byte(1) > 0x9F) return 0;
  if (lead == 0xF0 && byte(1) < 0x90) return 0;
  if (lead == 0xF4 && byte(1) > 0x8F) return 0;
  return length;
}

// 8e-05 becomes 8e-5.
std::string short_exponent(std::string text) {
  const std::size_t exponent = text.find('e');
  if (exponent != std::string::npos && text[exponent + 2] == '0') text.erase(exponent + 2, 1);
  return text;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string html;
  html.reserve(text.size() + text.size() / 8);
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char c = text.front();
    if (length == 0) {
      html += kReplacement;
    } else if (length > 1) {
      html += text.substr(0, length);
    } else if (c == '&') {
      html += "&amp;";
    } else if (c == '<') {
      html += "&lt;";
    } else if (c == '>') {
      html += "&gt;";
    } else if (c == '"') {
      html += "&quot;";
    } else if (c == '\'') {
      html += "&#39;";
    } else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
      html += kReplacement;
    } else {
      html += c;
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return html;
}

std::string grouped(std::int64_t value) {
  std::string digits = fmt::format("{}", value);
  const std::size_t first = value < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string significant(double value) {
  return std::isfinite(value) ? short_exponent(fmt::format("{:.4g}", value)) : kDash;
}

std::string measured(double value) {
  if (!std::isfinite(value)) return kDash;
  if (std::abs(value) >= 1000) return significant(value);  // no zeros after a point to keep
  return short_exponent(fmt::format("{:#.4g}", value));
}

std::string percent(double fraction, int decimals) {
  if (!std::isfinite(fraction)) return kDash;
  return fmt::format("{:.{}f}{}%", 100.0 * fraction, decimals, kNoBreak);
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return kDash;
  if (seconds < 60) return fmt::format("{:.1f}{}s", seconds, kNoBreak);
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  const std::int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{0}{2}h {1}{2}min", hours, minutes, kNoBreak);
  return fmt::format("{0}{2}min {1}{2}s", minutes, whole % 60, kNoBreak);
}

std::string facts_table(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string html = "<table class=\"facts\"><tbody>\n";
  for (const auto& [name, value] : facts) {
    html += fmt::format(
        "<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape_html(name), escape_html(value));
  }
  return html + "</tbody></table>\n";
}

}  // namespace lamina
