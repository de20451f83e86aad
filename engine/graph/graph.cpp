// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/graph.h"

#include <algorithm>

namespace lamina {

std::int64_t ParamSpec::numel() const {
  std::int64_t count = 1;
  for (std::int64_t extent : shape) count *= extent;
  return count;
}

Graph::Graph(std::string title, Shape input) : title_(std::move(title)) {
  LAMINA_CHECK(input.n == 1 && input.per_sample() > 0,
               "net {}: the input of one sample cannot be {}.",
               title_,
               input.to_string());
  values_.push_back(input);
}

ValueId Graph::add(const std::string& name,
                   std::shared_ptr<const Layer> layer,
                   std::vector<ValueId> inputs,
                   bool module) {
  const std::string path = path_of(name);
  std::vector<Shape> shapes;
  for (ValueId id : inputs) {
    LAMINA_CHECK(id >= 0 && id < static_cast<ValueId>(values_.size()),
                 "net {}: layer '{}' reads a value that does not exist.",
                 title_,
                 path);
    shapes.push_back(shape(id));
  }
  Shape output;
  try {
    output = layer->infer(shapes);
  } catch (const Error& error) {
    throw error.with_context(fmt::format("net {}: layer '{}' ({}) on input {}: ",
                                         title_,
                                         path,
                                         layer->type(),
                                         shapes[0].to_string()));
  }
  const bool taken = std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& n) {
    return n.name == path &&
           !(n.layer->params(input_shapes(n, 1)).empty() && layer->params(shapes).empty());
  });
  LAMINA_CHECK(!taken,
               "net {}: two layers are named '{}'; layers with parameters need names of their own.",
               title_,
               path);
  values_.push_back(output);
  const auto declared = declared_.find(path);
  const std::uint32_t place = declared != declared_.end() ? declared->second : places_++;
  const auto id = static_cast<ValueId>(values_.size() - 1);
  nodes_.push_back({path,
                    std::move(layer),
                    std::move(inputs),
                    id,
                    static_cast<std::uint32_t>(nodes_.size()),
                    place,
                    module,
                    current_scope_});
  return id;
}

std::string Graph::path_of(const std::string& name) const {
  if (current_scope_ < 0) return name;
  return scopes_[static_cast<std::size_t>(current_scope_)].name + "." + name;
}

void Graph::declare(const std::vector<std::string>& names) {
  for (const std::string& name : names) declared_[path_of(name)] = places_++;
}

Graph::ScopeGuard Graph::scope(const std::string& name, std::string type) {
  scopes_.push_back({path_of(name), std::move(type), current_scope_});
  current_scope_ = static_cast<int>(scopes_.size()) - 1;
  return ScopeGuard(*this);
}

void Graph::leave() { current_scope_ = scopes_[static_cast<std::size_t>(current_scope_)].parent; }

const Node& Graph::producer(ValueId value) const {
  const auto node =
      std::find_if(nodes_.begin(), nodes_.end(), [&](const Node& n) { return n.output == value; });
  LAMINA_CHECK(node != nodes_.end(), "net {}: no layer makes value {}.", title_, value);
  return *node;
}

std::vector<Shape> Graph::input_shapes(const Node& node, std::int64_t batch) const {
  std::vector<Shape> shapes;
  for (ValueId id : node.inputs) shapes.push_back(shape(id).with_n(batch));
  return shapes;
}

std::vector<const Node*> Graph::in_state_dict_order() const {
  std::vector<const Node*> ordered;
  for (const Node& node : nodes_) ordered.push_back(&node);
  std::stable_sort(ordered.begin(), ordered.end(), [](const Node* a, const Node* b) {
    return a->place < b->place;
  });
  return ordered;
}

Graph Graph::without_auxiliary() const {
  if (auxiliary_.empty()) return *this;
  std::vector<bool> needed(values_.size(), false);
  needed[static_cast<std::size_t>(output_)] = true;
  std::vector<Node> nodes;
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    if (!needed[static_cast<std::size_t>(node->output)]) continue;
    for (ValueId id : node->inputs) needed[static_cast<std::size_t>(id)] = true;
    nodes.push_back(*node);
  }
  std::reverse(nodes.begin(), nodes.end());
  Graph pruned = with_nodes(std::move(nodes));
  pruned.auxiliary_.clear();
  return pruned;
}

Graph Graph::with_nodes(std::vector<Node> nodes) const {
  Graph copy = *this;
  copy.nodes_ = std::move(nodes);
  return copy;
}

}  // namespace lamina
