// SPDX-License-Identifier: Apache-2.0
#include "engine/core/suggest.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include <fmt/core.h>

namespace lamina {
namespace {

// Nobody mistypes a name this long; it bounds the work on hostile input.
constexpr std::size_t kLongestName = 200;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours, where no
// letter is edited twice. Three rows of the usual table are enough.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(above);
    above.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const char x = lower(a[i - 1]), y = lower(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (x == y ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]) && x != y;
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::string suggest(std::string_view wrong, std::span<const std::string> names) {
  if (wrong.empty() || wrong.size() > kLongestName) return "";
  const std::size_t limit = std::max<std::size_t>(1, wrong.size() / 3);
  const std::string* best = nullptr;
  std::size_t best_distance = limit + 1;
  for (const std::string& name : names) {
    if (name.size() > wrong.size() + limit || wrong.size() > name.size() + limit) continue;
    const std::size_t distance = edit_distance(wrong, name);
    // A name with no letter in common is no suggestion, however short it is.
    if (distance >= std::max(wrong.size(), name.size())) continue;
    if (distance < best_distance) {
      best = &name;
      best_distance = distance;
    }
  }
  return best == nullptr ? "" : fmt::format(" Did you mean '{}'?", *best);
}

}  // namespace lamina
