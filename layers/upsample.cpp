// SPDX-License-Identifier: Apache-2.0
#include "layers/upsample.h"

#include "kernels/upsample.h"

namespace lamina::nn {

namespace {

class UpsampleOp : public LayerOp {
 public:
  explicit UpsampleOp(Context& ctx) : ctx_(ctx) {}
  void forward(const Bound& t) override { upsample_forward(ctx_, t.x[0], t.y); }
  void backward(const Bound& t) override { upsample_backward(ctx_, t.dy, t.dx[0]); }

 private:
  Context& ctx_;
};

class UpsampleLayer : public Layer {
 public:
  explicit UpsampleLayer(Size2 size) : size_(size) {}
  std::string type() const override { return "Upsample"; }
  Shape infer(std::span<const Shape> x) const override {
    LAMINA_CHECK(
        size_.h > 0 && size_.w > 0, "upsample: the size {}x{} is not positive.", size_.h, size_.w);
    LAMINA_CHECK(!x[0].flat, "upsample: the input was flattened; resize before the flatten.");
    return {x[0].n, size_.h, size_.w, x[0].c};
  }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<UpsampleOp>(args.ctx);
  }
  KernelWork kernel(std::span<const Shape>) const override { return {"upsample"}; }

 private:
  Size2 size_;
};

}  // namespace

ValueId upsample(Graph& graph, const std::string& name, ValueId x, const UpsampleOpts& opts) {
  return graph.add(name, std::make_shared<UpsampleLayer>(opts.size), {x}, !opts.functional);
}

}  // namespace lamina::nn
