// What the readers of tensor files say about a file that strangers made. For engine/files.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "engine/core/error.h"

namespace lamina {

// A tensor with more dimensions is taken for damage.
inline constexpr std::size_t kMostDims = 32;

// A name out of the file, fit for a terminal: short and without control characters.
std::string printable(std::string_view name);

// Throws "'FILE' is damaged: ...; save or download it again."
template <class... Args>
[[noreturn]] void fail_damaged(const std::string& file,
                               fmt::format_string<Args...> format,
                               Args&&... args) {
  fail("'{}' is damaged: {}; save or download it again.",
       file,
       fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace lamina
