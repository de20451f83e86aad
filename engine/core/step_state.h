// The few numbers that change from step to step. They live in device memory, so that a step is a
// fixed list of launches: kernels read them, one launch at the end of the step advances them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace lamina {

struct StepState {
  std::int64_t step = 0;    // optimizer steps done since the start of training
  std::int64_t cursor = 0;  // position in the epoch's permutation of the data set
  float lr = 0.0f;          // learning rate of the next step
  float reserved = 0.0f;
};

}  // namespace lamina
