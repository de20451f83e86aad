// Graph passes. Each takes a graph and returns one that computes the same function with fewer
// nodes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"

namespace lamina {

// Both passes below, in their order: what a Program runs unless it was told not to.
Graph fuse(const Graph& graph);

// The sum at the end of a residual block becomes part of the batch norm in front of it.
Graph fuse_sums(const Graph& graph);

// An activation that is the only reader of a layer which can apply it (convolution, linear, batch
// norm) becomes part of that layer.
Graph fuse_activations(const Graph& graph);

}  // namespace lamina
