// Text and numbers as the report shows them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lamina {

// Safe between tags and inside quoted attributes. Bytes that are not UTF-8 and control characters,
// which no HTML may hold, become the replacement character.
std::string escape_html(std::string_view text);

std::string grouped(std::int64_t value);                 // 10,000
std::string significant(double value);                   // 0.0001; a dash when not finite
std::string measured(double value);                      // 0.2910: always four digits
std::string percent(double fraction, int decimals = 2);  // 98.12 %
std::string duration_text(double seconds);               // 3 min 12 s

// A two-column table of names and values.
std::string facts_table(const std::vector<std::pair<std::string, std::string>>& facts);

}  // namespace lamina
