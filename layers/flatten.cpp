// SPDX-License-Identifier: Apache-2.0
#include "layers/flatten.h"

namespace lamina::nn {

namespace {

class FlattenLayer : public Layer {
 public:
  explicit FlattenLayer(std::string type) : type_(std::move(type)) {}
  std::string type() const override { return type_; }
  Shape infer(std::span<const Shape> x) const override {
    Shape y = x[0];
    y.flat = true;
    return y;
  }
  bool is_view(Mode) const override { return true; }
  std::unique_ptr<LayerOp> compile(const CompileArgs&) const override { return nullptr; }

 private:
  std::string type_;
};

}  // namespace

ValueId flatten(Graph& graph, const std::string& name, ValueId x, const FlattenOpts& opts) {
  return graph.add(name, std::make_shared<FlattenLayer>(opts.type), {x}, !opts.functional);
}

}  // namespace lamina::nn
