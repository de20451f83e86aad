// SPDX-License-Identifier: Apache-2.0
#include "layers/linear.h"

#include "kernels/linear.h"

namespace lamina::nn {

namespace {

class LinearOp : public LayerOp {
 public:
  LinearOp(const CompileArgs& args, LinearDesc desc) : bias_(desc.bias) {
    desc.dtype = args.dtype;
    desc.backward_weights = args.backward;
    desc.backward_data = args.backward && args.need_dx[0];
    plan_ = make_linear(args.ctx, desc);
  }
  std::size_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  void forward(const Bound& t) override {
    plan_->forward(t.x[0], t.p[0], bias(t.p), t.y, t.workspace);
  }
  bool has_backward_weights() const override { return true; }
  void backward_weights(const Bound& t) override {
    plan_->backward_weights(t.x[0], t.y, t.dy, t.dp[0], bias(t.dp), t.workspace);
  }
  void backward(const Bound& t) override {
    plan_->backward_data(t.dy, t.p[0], t.dx[0], t.workspace);
  }
  std::string describe() const override { return plan_->describe(); }

 private:
  Tensor bias(const std::vector<Tensor>& p) const { return bias_ ? p[1] : Tensor{}; }

  bool bias_;
  std::unique_ptr<Linear> plan_;
};

class LinearLayer : public Layer {
 public:
  explicit LinearLayer(const LinearOpts& opts) : opts_(opts) {}
  std::string type() const override { return "Linear"; }
  Shape infer(std::span<const Shape> x) const override {
    LAMINA_CHECK(opts_.k > 0, "linear: the number of outputs must be positive.");
    LAMINA_CHECK(x[0].flat, "linear: the input is a map; put a flatten in front.");
    return features(x[0].n, opts_.k);
  }
  std::vector<ParamSpec> params(std::span<const Shape> x) const override {
    const Fans fans{x[0].per_sample(), opts_.k};
    ParamSpec weight{
        .name = "weight", .shape = {opts_.k, fans.in}, .init = resolve(opts_.init, fans)};
    if (x[0].h * x[0].w > 1) {
      weight.c = x[0].c;
      weight.r = x[0].h;
      weight.s = x[0].w;
    }
    std::vector<ParamSpec> specs{weight};
    if (opts_.bias)
      specs.push_back({.name = "bias", .shape = {opts_.k}, .init = resolve(opts_.bias_init, fans)});
    for (ParamSpec& spec : specs) spec.factor = true;
    return specs;
  }
  bool backward_reads_x(std::size_t) const override { return true; }
  bool backward_reads_y() const override { return opts_.act != Act::none; }
  std::unique_ptr<Layer> with_activation(Act act) const override {
    if (opts_.act != Act::none) return nullptr;
    LinearOpts opts = opts_;
    opts.act = act;
    return std::make_unique<LinearLayer>(opts);
  }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<LinearOp>(args, desc(args.x[0]));
  }
  KernelWork kernel(std::span<const Shape> x) const override { return {"linear", desc(x[0])}; }

 private:
  LinearDesc desc(const Shape& x) const {
    return {.n = x.n, .in = x.per_sample(), .k = opts_.k, .bias = opts_.bias, .act = opts_.act};
  }

  LinearOpts opts_;
};

}  // namespace

ValueId linear(Graph& graph, const std::string& name, ValueId x, const LinearOpts& opts) {
  return graph.add(name, std::make_shared<LinearLayer>(opts), {x});
}

}  // namespace lamina::nn
