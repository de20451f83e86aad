// What a training run shows: a bar while an epoch runs (terminals only), one table line an epoch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/train/trainer.h"

namespace lamina::cli {

class Progress {
 public:
  explicit Progress(std::size_t memory_bytes);  // that the run has planned

  void batch(const BatchEvent& event);  // redraws the bar on stderr
  void epoch(const EpochRow& row);      // prints the line on stdout
  void message(const std::string& text);

 private:
  void clear_bar();

  std::size_t memory_bytes_;
  bool terminal_;
  bool header_shown_ = false;
  bool bar_shown_ = false;
};

}  // namespace lamina::cli
