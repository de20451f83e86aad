// SPDX-License-Identifier: Apache-2.0
#include "layers/activation.h"

namespace lamina::nn {

namespace {

class ActivationOp : public LayerOp {
 public:
  ActivationOp(Context& ctx, Act act) : ctx_(ctx), act_(act) {}
  void forward(const Bound& t) override { act_forward(ctx_, act_, t.x[0], t.y); }
  void backward(const Bound& t) override { act_backward(ctx_, act_, t.y, t.dy, t.dx[0]); }

 private:
  Context& ctx_;
  Act act_;
};

class ActivationLayer : public Layer {
 public:
  explicit ActivationLayer(Act act) : act_(act) {}
  std::string type() const override {
    switch (act_) {
      case Act::relu:
        return "ReLU";
      case Act::relu6:
        return "ReLU6";
      case Act::tanh:
        return "Tanh";
      case Act::sigmoid:
        return "Sigmoid";
      case Act::none:
        break;
    }
    return "Identity";
  }
  Shape infer(std::span<const Shape> x) const override { return x[0]; }
  bool backward_reads_y() const override { return true; }
  Act activation() const override { return act_; }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<ActivationOp>(args.ctx, act_);
  }
  KernelWork kernel(std::span<const Shape>) const override { return {"activation", act_}; }

 private:
  Act act_;
};

}  // namespace

ValueId activation(
    Graph& graph, const std::string& name, ValueId x, Act act, const ActivationOpts& opts) {
  return graph.add(name, std::make_shared<ActivationLayer>(act), {x}, !opts.functional);
}

}  // namespace lamina::nn
