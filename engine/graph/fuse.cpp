// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/fuse.h"

#include <algorithm>

namespace lamina {

namespace {

int readers(const Graph& graph, ValueId value) {
  int count = graph.output() == value ? 1 : 0;
  for (const AuxiliaryHead& head : graph.auxiliary()) count += head.output == value ? 1 : 0;
  for (const Node& node : graph.nodes()) {
    count += static_cast<int>(std::count(node.inputs.begin(), node.inputs.end(), value));
  }
  return count;
}

}  // namespace

Graph fuse_activations(const Graph& graph) {
  std::vector<Node> fused;
  for (const Node& node : graph.nodes()) {
    const Act act = node.layer->activation();
    if (act != Act::none && readers(graph, node.inputs[0]) == 1) {
      const auto producer = std::find_if(
          fused.begin(), fused.end(), [&](const Node& n) { return n.output == node.inputs[0]; });
      if (producer != fused.end()) {
        if (std::shared_ptr<const Layer> layer = producer->layer->with_activation(act)) {
          producer->layer = std::move(layer);
          producer->output = node.output;
          continue;
        }
      }
    }
    fused.push_back(node);
  }
  return graph.with_nodes(std::move(fused));
}

}  // namespace lamina
