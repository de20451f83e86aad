// SPDX-License-Identifier: Apache-2.0
#include "engine/train/early_stopping.h"

#include <fmt/core.h>

#include <string>

namespace lamina {

bool EarlyStopping::update(double val_loss) {
  // Through text, because that rounds the decimal value correctly, as Python's round(x, 4) does.
  const double rounded = std::stod(fmt::format("{:.4f}", val_loss));
  if (rounded < best_) {
    best_ = rounded;
    stale_ = 0;
  } else {
    ++stale_;  // a NaN loss lands here too
  }
  return patience_ > 0 && stale_ >= patience_;
}

}  // namespace lamina
