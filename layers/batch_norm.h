// Batch normalisation (PyTorch: nn.BatchNorm2d). Parameters: weight, bias [C]; buffers:
// running_mean, running_var [C], num_batches_tracked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"

namespace lamina::nn {

struct BatchNorm2dOpts {
  double eps = 1e-5;
  double momentum = 0.1;   // of the running statistics, PyTorch's sense
  bool zero_init = false;  // gamma starts at zero: the block starts as its shortcut
  bool sum = false;        // a second input is added behind it; set by fusion
  Act act = Act::none;     // set by fusion
};

ValueId batch_norm2d(Graph& graph,
                     const std::string& name,
                     ValueId x,
                     const BatchNorm2dOpts& opts = {});

}  // namespace lamina::nn
