// SPDX-License-Identifier: Apache-2.0
#include "layers/add.h"

#include "kernels/add.h"

namespace lamina::nn {

namespace {

class AddOp : public LayerOp {
 public:
  AddOp(Context& ctx, const AddOpts& opts) : ctx_(ctx), opts_(opts) {}
  void forward(const Bound& t) override { add_forward(ctx_, opts_, t.x[0], t.x[1], t.y); }
  void backward(const Bound& t) override {
    // y was kept only for an activation; without one its memory may be another's by now.
    const Tensor y = opts_.act == Act::none ? Tensor{} : t.y;
    add_backward(ctx_, opts_, y, t.dy, t.dx[0], t.dx[1]);
  }

 private:
  Context& ctx_;
  AddOpts opts_;
};

class AddLayer : public Layer {
 public:
  explicit AddLayer(const AddOpts& opts) : opts_(opts) {}
  std::string type() const override { return "Add"; }
  Shape infer(std::span<const Shape> x) const override {
    LAMINA_CHECK(x[0] == x[1],
                 "add: the branches are {} and {}; they must have one shape.",
                 x[0].to_string(),
                 x[1].to_string());
    return x[0];
  }
  bool backward_reads_y() const override { return opts_.act != Act::none; }
  bool is_sum() const override { return opts_.act == Act::none && opts_.scale == 1; }
  std::unique_ptr<Layer> with_activation(Act act) const override {
    if (opts_.act != Act::none) return nullptr;
    AddOpts opts = opts_;
    opts.act = act;
    return std::make_unique<AddLayer>(opts);
  }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<AddOp>(args.ctx, opts_);
  }
  KernelWork kernel(std::span<const Shape>) const override { return {"add", opts_}; }

 private:
  AddOpts opts_;
};

}  // namespace

ValueId add(Graph& graph, const std::string& name, ValueId a, ValueId b, const AddLayerOpts& opts) {
  return graph.add(name, std::make_shared<AddLayer>(AddOpts{.scale = opts.scale}), {a, b}, false);
}

}  // namespace lamina::nn
