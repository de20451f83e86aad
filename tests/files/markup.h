// A strict check of the report's markup: every tag closed, every attribute quoted, every & an
// entity. Stricter than HTML asks, so that whatever reads XML reads the report too.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace lamina {

// "" or what is wrong and where.
std::string markup_error(const std::string& html);

}  // namespace lamina
