// Pictures as PNG.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/data/contact_sheet.h"

namespace lamina {

std::string encode_png(const Picture& picture);

}  // namespace lamina
