// Fully connected layer (PyTorch: nn.Linear). Parameters: weight [K, in], bias [K].
// Behind a flattened C x H x W map the weight's columns are PyTorch's C,H,W in files and H,W,C in
// memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"

namespace lamina::nn {

struct LinearOpts {
  std::int64_t k = 0;  // outputs
  bool bias = true;
  InitRule init, bias_init;  // empty: PyTorch's default
  Act act = Act::none;       // set by fusion
};

ValueId linear(Graph& graph, const std::string& name, ValueId x, const LinearOpts& opts);

}  // namespace lamina::nn
