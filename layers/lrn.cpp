// SPDX-License-Identifier: Apache-2.0
#include "layers/lrn.h"

#include "kernels/lrn.h"

namespace lamina::nn {

namespace {

class LrnOp : public LayerOp {
 public:
  LrnOp(Context& ctx, const LrnOpts& opts) : ctx_(ctx), opts_(opts) {}
  void forward(const Bound& t) override { lrn_forward(ctx_, opts_, t.x[0], t.y); }
  void backward(const Bound& t) override { lrn_backward(ctx_, opts_, t.x[0], t.dy, t.dx[0]); }

 private:
  Context& ctx_;
  LrnOpts opts_;
};

class LrnLayer : public Layer {
 public:
  explicit LrnLayer(const LrnOpts& opts) : opts_(opts) {}
  std::string type() const override { return "LocalResponseNorm"; }
  Shape infer(std::span<const Shape> x) const override {
    LAMINA_CHECK(!x[0].flat,
                 "local response normalisation: the input was flattened; normalise before the "
                 "flatten.");
    return x[0];
  }
  bool backward_reads_x(std::size_t) const override { return true; }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<LrnOp>(args.ctx, opts_);
  }
  KernelWork kernel(std::span<const Shape>) const override { return {"lrn", opts_}; }

 private:
  LrnOpts opts_;
};

}  // namespace

ValueId local_response_norm(Graph& graph,
                            const std::string& name,
                            ValueId x,
                            const LocalResponseNormOpts& opts) {
  const LrnOpts numbers{opts.size, opts.alpha, opts.beta, opts.k};
  return graph.add(name, std::make_shared<LrnLayer>(numbers), {x});
}

}  // namespace lamina::nn
