// Texts that are lists.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

namespace lamina {

// The parts of the text between separators: one more than it has of them, each possibly empty. They
// live as long as the text.
inline std::vector<std::string_view> words_of(std::string_view text, char separator = ',') {
  std::vector<std::string_view> words;
  for (std::size_t at = text.find(separator); at != std::string_view::npos;
       at = text.find(separator)) {
    words.push_back(text.substr(0, at));
    text.remove_prefix(at + 1);
  }
  words.push_back(text);
  return words;
}

}  // namespace lamina
