// What a run of the suite says: failures, the line that runs a case again, and totals.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "kernels/suite/table.h"

namespace lamina::suite {

// "conv2d/odd/exact forward in f32 on cpu"
std::string to_string(const CaseKey& key);

std::string failure_text(const CaseKey& key, std::string_view failure);

// A command that, pasted into a shell, runs this case of a table (op.Name) alone with the same
// data.
std::string rerun_line(std::string_view program, const CaseKey& key, std::string_view table);

struct Tally {
  int cases = 0, outputs = 0, failed = 0, mistrusted = 0;
  std::map<std::string, int> left_out;  // by the reason
  double worst_share = 0;               // of its budget, the largest error
  std::string worst;                    // and the case it is from

  void add(const CaseReport& report);
  std::string summary() const;
};

}  // namespace lamina::suite
