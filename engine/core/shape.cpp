// SPDX-License-Identifier: Apache-2.0
#include "engine/core/shape.h"

#include <fmt/core.h>

namespace lamina {

std::string Shape::to_string() const {
  if (flat) return fmt::format("[{}, {}]", n, per_sample());
  return fmt::format("[{}, {}, {}, {}]", n, c, h, w);
}

}  // namespace lamina
