// Pooling layers (PyTorch: nn.MaxPool2d, nn.AvgPool2d, or F.max_pool2d and its like).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "engine/graph/graph.h"
#include "layers/size2.h"

namespace lamina::nn {

struct Pool2dOpts {
  Size2 kernel = 2;
  std::optional<Size2> stride;  // the kernel, when not given
  Size2 pad = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;  // average only
  bool functional = false;
};

// Averages over the whole map (PyTorch: nn.AdaptiveAvgPool2d, or F.avg_pool2d over all of it).
struct AdaptiveAvgPool2dOpts {
  Size2 size = 1;  // of the output; windows of PyTorch's rule when it does not divide the input's
  bool functional = false;
  std::string type = "AdaptiveAvgPool2d";  // the class in the definition
};

ValueId max_pool2d(Graph& graph, const std::string& name, ValueId x, const Pool2dOpts& opts);
ValueId avg_pool2d(Graph& graph, const std::string& name, ValueId x, const Pool2dOpts& opts);
ValueId adaptive_avg_pool2d(Graph& graph,
                            const std::string& name,
                            ValueId x,
                            const AdaptiveAvgPool2dOpts& opts);

}  // namespace lamina::nn
