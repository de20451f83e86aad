// SPDX-License-Identifier: Apache-2.0
#include "engine/files/damage.h"

#include <algorithm>

namespace lamina {

std::string printable(std::string_view name) {
  constexpr std::size_t kLongest = 80;
  std::size_t length = std::min(name.size(), kLongest);
  while (length < name.size() && length > 0 && (name[length] & 0xC0) == 0x80) --length;
  std::string text(name.substr(0, length));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return length < name.size() ? text + "..." : text;
}

}  // namespace lamina
