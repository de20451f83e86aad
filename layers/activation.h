// Activation layers (PyTorch: nn.ReLU, nn.ReLU6, nn.Tanh, nn.Sigmoid, or F.relu and its like).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"

namespace lamina::nn {

// functional: a call such as F.relu(x) in the definition, which summaries do not list.
struct ActivationOpts {
  bool functional = false;
};

ValueId activation(
    Graph& graph, const std::string& name, ValueId x, Act act, const ActivationOpts& opts = {});

inline ValueId relu(Graph& graph,
                    const std::string& name,
                    ValueId x,
                    const ActivationOpts& opts = {}) {
  return activation(graph, name, x, Act::relu, opts);
}

}  // namespace lamina::nn
