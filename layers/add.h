// The sum of two branches (PyTorch: a + b, or a + scale * b), the end of a residual block.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"

namespace lamina::nn {

struct AddLayerOpts {
  double scale = 1;  // of b
};

// Both have one shape. Summaries do not list it: it is a call in every definition.
ValueId add(
    Graph& graph, const std::string& name, ValueId a, ValueId b, const AddLayerOpts& opts = {});

}  // namespace lamina::nn
