// How far an output is from the truth, as a share of what its budget allows.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "kernels/suite/problem.h"

namespace lamina::suite {

struct Judgement {
  std::vector<std::string> failures;
  double share = 0;  // of the budget, the largest error; up to 1 passes
};

// "43 % of its budget"; an error where equality is demanded is beyond any.
std::string share_text(double share);

Judgement judge_output(const Slot& slot, DType dtype, const Values& got, const Values& want);

// What differs between the bytes of two runs that should be equal.
std::vector<std::string> compare_bits(const Outcome& first, const Outcome& again, const char* what);

}  // namespace lamina::suite
