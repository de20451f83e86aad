// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/slices.h"

#include <algorithm>

#include "engine/core/tensor.h"

namespace lamina {

namespace {

bool whole_slices(std::int64_t channels) { return channels % kSliceChannels == 0; }

// Values that somebody outside the layers looks at, or that share their memory with another.
std::vector<bool> find_fixed(const Graph& graph, const std::vector<ValueId>& storage) {
  std::vector<bool> fixed(graph.value_count(), false);
  const auto fix = [&](ValueId value) {
    fixed[static_cast<std::size_t>(value)] = true;
    fixed[static_cast<std::size_t>(storage[static_cast<std::size_t>(value)])] = true;
  };
  fix(graph.input());
  fix(graph.output());
  for (const AuxiliaryHead& head : graph.auxiliary()) fix(head.output);
  for (std::size_t v = 0; v < storage.size(); ++v)
    if (storage[v] != static_cast<ValueId>(v)) fix(static_cast<ValueId>(v));
  return fixed;
}

}  // namespace

std::vector<Slice> find_slices(const Graph& graph,
                               const std::vector<ValueId>& storage,
                               const SliceSupport& support) {
  const std::vector<Node>& nodes = graph.nodes();
  const std::vector<bool> fixed = find_fixed(graph, storage);
  std::vector<Slice> slices(graph.value_count());
  const auto made_as_slice = [&](ValueId value) {
    for (std::size_t n = 0; n < nodes.size(); ++n)
      if (nodes[n].output == value) return support.makes(n);
    return false;
  };
  // All other layers that read it must be able to.
  const auto read_as_slice = [&](ValueId value, std::size_t concat) {
    for (std::size_t n = 0; n < nodes.size(); ++n)
      for (std::size_t j = 0; j < nodes[n].inputs.size(); ++j)
        if (n != concat && nodes[n].inputs[j] == value && !support.takes(n, j)) return false;
    return true;
  };
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    const Node& node = nodes[n];
    if (!node.layer->is_concat() || !whole_slices(graph.shape(node.output).c)) continue;
    std::int64_t first = 0;
    for (ValueId value : node.inputs) {
      const std::int64_t channels = graph.shape(value).c;
      const auto at = static_cast<std::size_t>(value);
      if (whole_slices(first) && whole_slices(channels) && !fixed[at] && slices[at].map < 0 &&
          std::count(node.inputs.begin(), node.inputs.end(), value) == 1 && made_as_slice(value) &&
          read_as_slice(value, n))
        slices[at] = {node.output, first};
      first += channels;
    }
  }
  return slices;
}

}  // namespace lamina
