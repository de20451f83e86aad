// SPDX-License-Identifier: Apache-2.0
#include "engine/core/error.h"

namespace lamina {

std::string Error::details() const {
  std::string text = message_;
  if (site_.file[0] != '\0')
    text += fmt::format("\n  at {}:{}: {}", site_.file, site_.line, site_.expression);
  if (site_.api[0] != '\0')
    text += fmt::format("\n  {} code {} ({})", site_.api, site_.code, site_.code_text);
  return text;
}

}  // namespace lamina
