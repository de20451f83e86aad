// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/graph.h"

#include <algorithm>
#include <cmath>

namespace lamina {

Init default_init(std::int64_t fan_in) {
  return {Init::Kind::uniform, 1.0 / std::sqrt(static_cast<double>(fan_in))};
}

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
  const std::string path =
      current_scope_ < 0 ? name
                         : scopes_[static_cast<std::size_t>(current_scope_)].name + "." + name;
  const bool taken =
      std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& n) { return n.name == path; });
  LAMINA_CHECK(!taken, "net {}: two layers are named '{}'; names must be unique.", title_, path);

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
  values_.push_back(output);
  const auto id = static_cast<ValueId>(values_.size() - 1);
  nodes_.push_back({path,
                    std::move(layer),
                    std::move(inputs),
                    id,
                    static_cast<std::uint32_t>(nodes_.size()),
                    module,
                    current_scope_});
  return id;
}

Graph::ScopeGuard Graph::scope(const std::string& name, std::string type) {
  const std::string path =
      current_scope_ < 0 ? name
                         : scopes_[static_cast<std::size_t>(current_scope_)].name + "." + name;
  scopes_.push_back({path, std::move(type), current_scope_});
  current_scope_ = static_cast<int>(scopes_.size()) - 1;
  return ScopeGuard(*this);
}

void Graph::leave() { current_scope_ = scopes_[static_cast<std::size_t>(current_scope_)].parent; }

std::vector<Shape> Graph::input_shapes(const Node& node, std::int64_t batch) const {
  std::vector<Shape> shapes;
  for (ValueId id : node.inputs) shapes.push_back(shape(id).with_n(batch));
  return shapes;
}

Graph Graph::with_nodes(std::vector<Node> nodes) const {
  Graph copy = *this;
  copy.nodes_ = std::move(nodes);
  return copy;
}

}  // namespace lamina
