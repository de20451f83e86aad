// Convolution layer (PyTorch: nn.Conv2d). Parameters: weight [K, C/groups, R, S], bias [K].
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"
#include "layers/size2.h"

namespace lamina::nn {

struct Conv2dOpts {
  std::int64_t k = 0;  // filters
  Size2 kernel = 1;
  Size2 stride = 1;
  Size2 pad = 0;
  Size2 dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  InitRule init, bias_init;  // empty: PyTorch's default
  Act act = Act::none;       // set by fusion
};

ValueId conv2d(Graph& graph, const std::string& name, ValueId x, const Conv2dOpts& opts);

}  // namespace lamina::nn
