// Early stopping: after each epoch the validation loss, rounded to 4 decimals, must be below the
// best so far; after `patience` epochs in a row that were not, training stops.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>

namespace lamina {

class EarlyStopping {
 public:
  explicit EarlyStopping(std::int64_t patience) : patience_(patience) {}  // 0: never stops

  // Returns true when training should stop.
  bool update(double val_loss);

  double best() const { return best_; }
  std::int64_t stale_epochs() const { return stale_; }
  void restore(double best, std::int64_t stale) {
    best_ = best;
    stale_ = stale;
  }

 private:
  std::int64_t patience_;
  double best_ = std::numeric_limits<double>::infinity();
  std::int64_t stale_ = 0;
};

}  // namespace lamina
