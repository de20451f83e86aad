// The passes that make two nodes one: each takes a graph and returns one that computes the same
// function with fewer nodes. notes, where it is given, learns what was done.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"
#include "engine/graph/passes.h"

namespace lamina {

// Those of the passes below that are on, in their order.
Graph fuse(const Graph& graph, const PassSet& passes = {}, std::vector<PassNote>* notes = nullptr);

// The sum at the end of a residual block becomes part of the batch norm in front of it.
Graph fuse_sums(const Graph& graph, std::vector<PassNote>* notes = nullptr);

// An activation that is the only reader of a layer which can apply it (convolution, linear, batch
// norm) becomes part of that layer.
Graph fuse_activations(const Graph& graph, std::vector<PassNote>* notes = nullptr);

}  // namespace lamina
