// Softmax and log-softmax over the features (PyTorch: nn.Softmax(dim=1), nn.LogSoftmax(dim=1)).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"

namespace lamina::nn {

struct SoftmaxOpts {
  bool functional = false;
};

ValueId softmax(Graph& graph, const std::string& name, ValueId x, const SoftmaxOpts& opts = {});
ValueId log_softmax(Graph& graph, const std::string& name, ValueId x, const SoftmaxOpts& opts = {});

}  // namespace lamina::nn
