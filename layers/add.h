// The sum of two branches (PyTorch: a + b), the end of a residual block.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"

namespace lamina::nn {

// a + b; both have one shape. Summaries do not list it: it is a call in every definition.
ValueId add(Graph& graph, const std::string& name, ValueId a, ValueId b);

}  // namespace lamina::nn
