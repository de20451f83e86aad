// Flatten (PyTorch: nn.Flatten, or x.view(n, -1)): [N, C, H, W] to [N, C*H*W]. No memory moves: the
// map stays NHWC, and the linear layer behind it orders its weights to match.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"

namespace lamina::nn {

struct FlattenOpts {
  bool functional = false;
  std::string type = "Flatten";  // the class in the definition, where it has one of its own
};

ValueId flatten(Graph& graph, const std::string& name, ValueId x, const FlattenOpts& opts = {});

}  // namespace lamina::nn
