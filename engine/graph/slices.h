// Which values are written straight into the map that a concat makes of them, so that nothing is
// copied: a slice of its channels each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "engine/graph/graph.h"

namespace lamina {

// Channels [first, ...) of the value `map`, which may be a slice itself; -1: memory of its own.
struct Slice {
  ValueId map = -1;
  std::int64_t first = 0;
};

// What the compiled layers can do, by the index of their node.
struct SliceSupport {
  std::function<bool(std::size_t node, std::size_t input)> takes;
  std::function<bool(std::size_t node)> makes;
};

// By value. storage: the value whose memory each one is, under another shape perhaps.
std::vector<Slice> find_slices(const Graph& graph,
                               const std::vector<ValueId>& storage,
                               const SliceSupport& support);

}  // namespace lamina
