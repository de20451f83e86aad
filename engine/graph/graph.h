// What a net is: layers, how they are connected, and their names. Pure data, no device.
//
//   Graph g("LeNet", {1, 28, 28, 1});
//   ValueId x = upsample(g, "upsample", g.input(), {.h = 32, .w = 32});
//   { auto scope = g.scope("conv1", "Sequential");
//     x = conv2d(g, "0", x, {.k = 6, .r = 5, .s = 5}); }      // parameters conv1.0.weight, .bias
//   g.set_output(x);
//
// Nodes are added in topological order; parameters are named and ordered as they are added, which
// is the order of the PyTorch definition's state_dict unless declare() says otherwise. Shapes are
// inferred on the spot for one sample, and an error names the layer and the shapes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/core/loss_kind.h"
#include "engine/graph/layer.h"

namespace lamina {

using ValueId = int;

struct Node {
  std::string name;  // full path, "conv1.0"
  std::shared_ptr<const Layer> layer;
  std::vector<ValueId> inputs;
  ValueId output = -1;
  std::uint32_t number = 0;  // in the order of adding; passes keep it, so random draws stay
  std::uint32_t place = 0;   // in the state_dict
  bool module = true;  // false: a function call in the PyTorch definition, absent from summaries
  int scope = -1;      // index into scopes(), -1: the root
};

// A container of the PyTorch definition, such as a Sequential. Only summaries look at it.
struct ScopeInfo {
  std::string name;  // full path
  std::string type;
  int parent = -1;
};

// A second classifier inside the net, whose loss counts in training (GoogLeNet, Inception v3).
struct AuxiliaryHead {
  ValueId output = -1;
  double weight = 1.0;  // of its loss in the sum
};

class Graph {
 public:
  // title: the PyTorch class name of the whole net; input: the shape of one sample (n = 1).
  Graph(std::string title, Shape input);

  ValueId input() const { return 0; }
  // Layers without parameters may share a name: one module that is called twice.
  ValueId add(const std::string& name,
              std::shared_ptr<const Layer> layer,
              std::vector<ValueId> inputs,
              bool module = true);
  void set_output(ValueId value) { output_ = value; }
  void set_loss(LossKind loss) { loss_ = loss; }
  // Training adds weight * loss(output); evaluation leaves out what only this head needs.
  void add_auxiliary(ValueId output, double weight) { auxiliary_.push_back({output, weight}); }

  // The children of the current scope whose parameters come next in the state_dict, in this order:
  // for definitions that create their modules in another order than they call them.
  void declare(const std::vector<std::string>& names);

  // Names added while the returned guard lives are prefixed with `name.`.
  class ScopeGuard {
   public:
    explicit ScopeGuard(Graph& graph) : graph_(&graph) {}
    ScopeGuard(const ScopeGuard&) = delete;
    ScopeGuard& operator=(const ScopeGuard&) = delete;
    ~ScopeGuard() { graph_->leave(); }

   private:
    Graph* graph_;
  };
  [[nodiscard]] ScopeGuard scope(const std::string& name, std::string type);

  const std::string& title() const { return title_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<ScopeInfo>& scopes() const { return scopes_; }
  const Shape& shape(ValueId value) const { return values_[static_cast<std::size_t>(value)]; }
  std::size_t value_count() const { return values_.size(); }
  ValueId output() const { return output_; }
  LossKind loss() const { return loss_; }
  const std::vector<AuxiliaryHead>& auxiliary() const { return auxiliary_; }
  std::vector<const Node*> in_state_dict_order() const;
  std::int64_t classes() const { return shape(output_).per_sample(); }
  const Node& producer(ValueId value) const;  // the layer that makes it; not of the input
  std::vector<Shape> input_shapes(const Node& node, std::int64_t batch) const;

  // For passes: a copy whose nodes are replaced. Values keep their ids and shapes.
  Graph with_nodes(std::vector<Node> nodes) const;
  // Without the auxiliary heads and the layers that only they read: what evaluation runs.
  Graph without_auxiliary() const;

 private:
  void leave();
  std::string path_of(const std::string& name) const;

  std::string title_;
  std::vector<Shape> values_;  // of one sample
  std::vector<Node> nodes_;
  std::vector<ScopeInfo> scopes_;
  int current_scope_ = -1;
  ValueId output_ = -1;
  LossKind loss_ = LossKind::cross_entropy;
  std::vector<AuxiliaryHead> auxiliary_;
  std::map<std::string, std::uint32_t> declared_;  // path -> place
  std::uint32_t places_ = 0;
};

}  // namespace lamina
