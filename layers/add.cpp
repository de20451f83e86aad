// SPDX-License-Identifier: Apache-2.0
#include "layers/add.h"

#include "kernels/add.h"

namespace lamina::nn {

namespace {

class AddOp : public LayerOp {
 public:
  AddOp(Context& ctx, Act act) : ctx_(ctx), act_(act) {}
  void forward(const Bound& t) override { add_forward(ctx_, act_, t.x[0], t.x[1], t.y); }
  void backward(const Bound& t) override {
    // y was kept only for an activation; without one its memory may be another's by now.
    const Tensor y = act_ == Act::none ? Tensor{} : t.y;
    add_backward(ctx_, act_, y, t.dy, t.dx[0], t.dx[1]);
  }

 private:
  Context& ctx_;
  Act act_;
};

class AddLayer : public Layer {
 public:
  explicit AddLayer(Act act) : act_(act) {}
  std::string type() const override { return "Add"; }
  Shape infer(std::span<const Shape> x) const override {
    LAMINA_CHECK(x[0] == x[1],
                 "add: the branches are {} and {}; they must have one shape.",
                 x[0].to_string(),
                 x[1].to_string());
    return x[0];
  }
  bool backward_reads_y() const override { return act_ != Act::none; }
  bool is_sum() const override { return act_ == Act::none; }
  std::unique_ptr<Layer> with_activation(Act act) const override {
    if (act_ != Act::none) return nullptr;
    return std::make_unique<AddLayer>(act);
  }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<AddOp>(args.ctx, act_);
  }

 private:
  Act act_;
};

}  // namespace

ValueId add(Graph& graph, const std::string& name, ValueId a, ValueId b) {
  return graph.add(name, std::make_shared<AddLayer>(Act::none), {a, b}, false);
}

}  // namespace lamina::nn
