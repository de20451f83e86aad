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

void note(std::vector<PassNote>* notes, Pass pass, const Node& into, const Node& taken) {
  if (notes != nullptr)
    notes->push_back({pass, fmt::format("{} takes in {}", into.name, taken.name)});
}

}  // namespace

Graph fuse(const Graph& graph, const PassSet& passes, std::vector<PassNote>* notes) {
  const Graph summed = passes.has(Pass::fuse_sums) ? fuse_sums(graph, notes) : graph;
  return passes.has(Pass::fuse_activations) ? fuse_activations(summed, notes) : summed;
}

Graph fuse_sums(const Graph& graph, std::vector<PassNote>* notes) {
  std::vector<Node> fused;
  // The node that makes this value, when a sum is all that reads it and it can take the sum in.
  const auto producer = [&](ValueId value) {
    return std::find_if(fused.begin(), fused.end(), [&](const Node& n) {
      return n.output == value && readers(graph, value) == 1 && n.layer->with_sum() != nullptr;
    });
  };
  for (const Node& node : graph.nodes()) {
    auto norm = fused.end();
    std::size_t other = 1;
    if (node.layer->is_sum()) {
      norm = producer(node.inputs[0]);
      if (norm == fused.end()) {
        norm = producer(node.inputs[1]);
        other = 0;
      }
    }
    if (norm == fused.end()) {
      fused.push_back(node);
      continue;
    }
    note(notes, Pass::fuse_sums, *norm, node);
    // It moves to the sum's place, where the shortcut is there too.
    Node joined = *norm;
    fused.erase(norm);
    joined.layer = joined.layer->with_sum();
    joined.inputs.push_back(node.inputs[other]);
    joined.output = node.output;
    fused.push_back(std::move(joined));
  }
  return graph.with_nodes(std::move(fused));
}

Graph fuse_activations(const Graph& graph, std::vector<PassNote>* notes) {
  std::vector<Node> fused;
  for (const Node& node : graph.nodes()) {
    const Act act = node.layer->activation();
    if (act != Act::none && readers(graph, node.inputs[0]) == 1) {
      const auto producer = std::find_if(
          fused.begin(), fused.end(), [&](const Node& n) { return n.output == node.inputs[0]; });
      if (producer != fused.end()) {
        if (std::shared_ptr<const Layer> layer = producer->layer->with_activation(act)) {
          note(notes, Pass::fuse_activations, *producer, node);
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
