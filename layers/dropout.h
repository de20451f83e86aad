// Dropout (PyTorch: nn.Dropout). Passes through in evaluation. The mask is drawn anew in backward,
// so nothing is stored.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"

namespace lamina::nn {

struct DropoutLayerOpts {
  double p = 0.5;
};

ValueId dropout(Graph& graph,
                const std::string& name,
                ValueId x,
                const DropoutLayerOpts& opts = {});

}  // namespace lamina::nn
