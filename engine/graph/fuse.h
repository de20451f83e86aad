// Graph passes. Each takes a graph and returns one that computes the same function with fewer
// nodes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"

namespace lamina {

// An activation that is the only reader of a layer which can apply it (convolution, linear, batch
// norm) becomes part of that layer.
Graph fuse_activations(const Graph& graph);

}  // namespace lamina
