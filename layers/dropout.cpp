// SPDX-License-Identifier: Apache-2.0
#include "layers/dropout.h"

#include "kernels/dropout.h"

namespace lamina::nn {

namespace {

class DropoutLayerOp : public LayerOp {
 public:
  DropoutLayerOp(Context& ctx, const DropoutOpts& opts) : ctx_(ctx), opts_(opts) {}
  void forward(const Bound& t) override { lamina::dropout(ctx_, opts_, t.state, t.x[0], t.y); }
  void backward(const Bound& t) override { lamina::dropout(ctx_, opts_, t.state, t.dy, t.dx[0]); }
  bool can_recompute() const override { return true; }

 private:
  Context& ctx_;
  DropoutOpts opts_;
};

class DropoutLayer : public Layer {
 public:
  explicit DropoutLayer(const DropoutLayerOpts& opts) : opts_(opts) {}
  std::string type() const override { return "Dropout"; }
  Shape infer(std::span<const Shape> x) const override {
    LAMINA_CHECK(
        opts_.p >= 0 && opts_.p <= 1, "dropout: the probability {} is not in [0, 1].", opts_.p);
    return x[0];
  }
  bool is_view(Mode mode) const override { return mode == Mode::eval; }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    const DropoutOpts opts{args.dropout.value_or(opts_.p), args.seed, args.number};
    return std::make_unique<DropoutLayerOp>(args.ctx, opts);
  }
  KernelWork kernel(std::span<const Shape>) const override {
    return {"dropout", DropoutOpts{.p = opts_.p}};
  }

 private:
  DropoutLayerOpts opts_;
};

}  // namespace

ValueId dropout(Graph& graph, const std::string& name, ValueId x, const DropoutLayerOpts& opts) {
  return graph.add(name, std::make_shared<DropoutLayer>(opts), {x});
}

}  // namespace lamina::nn
