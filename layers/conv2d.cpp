// SPDX-License-Identifier: Apache-2.0
#include "layers/conv2d.h"

#include "kernels/conv2d.h"

namespace lamina::nn {

namespace {

Conv2dDesc describe_conv(const Conv2dOpts& o, const Shape& x) {
  return {.x = x,
          .k = o.k,
          .r = o.kernel.h,
          .s = o.kernel.w,
          .stride_h = o.stride.h,
          .stride_w = o.stride.w,
          .pad_h = o.pad.h,
          .pad_w = o.pad.w,
          .dilation_h = o.dilation.h,
          .dilation_w = o.dilation.w,
          .groups = o.groups,
          .bias = o.bias,
          .act = o.act};
}

class Conv2dOp : public LayerOp {
 public:
  Conv2dOp(const CompileArgs& args, Conv2dDesc desc) : bias_(desc.bias) {
    desc.dtype = args.dtype;
    desc.backward_weights = args.backward;
    desc.backward_data = args.backward && args.need_dx[0];
    plan_ = make_conv2d(args.ctx, desc);
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
  int reorders() const override { return plan_->reorders(); }

 private:
  Tensor bias(const std::vector<Tensor>& p) const { return bias_ ? p[1] : Tensor{}; }

  bool bias_;
  std::unique_ptr<Conv2d> plan_;
};

class Conv2dLayer : public Layer {
 public:
  explicit Conv2dLayer(const Conv2dOpts& opts) : opts_(opts) {}
  std::string type() const override { return "Conv2d"; }
  Shape infer(std::span<const Shape> x) const override { return describe_conv(opts_, x[0]).y(); }
  std::vector<ParamSpec> params(std::span<const Shape> x) const override {
    const std::int64_t c = x[0].c / opts_.groups, r = opts_.kernel.h, s = opts_.kernel.w;
    const Fans fans{c * r * s, opts_.k * r * s};
    std::vector<ParamSpec> specs{{.name = "weight",
                                  .shape = {opts_.k, c, r, s},
                                  .init = resolve(opts_.init, fans),
                                  .c = c,
                                  .r = r,
                                  .s = s}};
    if (opts_.bias)
      specs.push_back({.name = "bias", .shape = {opts_.k}, .init = resolve(opts_.bias_init, fans)});
    for (ParamSpec& spec : specs) spec.factor = true;
    return specs;
  }
  bool backward_reads_x(std::size_t) const override { return true; }
  bool backward_reads_y() const override { return opts_.act != Act::none; }
  std::unique_ptr<Layer> with_activation(Act act) const override {
    if (opts_.act != Act::none) return nullptr;
    Conv2dOpts opts = opts_;
    opts.act = act;
    return std::make_unique<Conv2dLayer>(opts);
  }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<Conv2dOp>(args, desc(args.x[0]));
  }
  KernelWork kernel(std::span<const Shape> x) const override { return {"conv2d", desc(x[0])}; }
  Conv2dDesc desc(const Shape& x) const { return describe_conv(opts_, x); }

 private:
  Conv2dOpts opts_;
};

}  // namespace

ValueId conv2d(Graph& graph, const std::string& name, ValueId x, const Conv2dOpts& opts) {
  return graph.add(name, std::make_shared<Conv2dLayer>(opts), {x});
}

}  // namespace lamina::nn
