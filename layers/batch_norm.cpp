// SPDX-License-Identifier: Apache-2.0
#include "layers/batch_norm.h"

#include "kernels/batch_norm.h"

namespace lamina::nn {

namespace {

// A rectifier's slope is seen from x.
bool backward_reads_y(const BatchNorm2dOpts& opts) {
  return opts.act != Act::none && (opts.sum || !is_rectifier(opts.act));
}

class BatchNorm2dOp : public LayerOp {
 public:
  BatchNorm2dOp(const CompileArgs& args, const BatchNorm2dOpts& opts)
      : ctx_(args.ctx),
        opts_{opts.eps, opts.momentum, opts.act},
        reads_y_(backward_reads_y(opts)),
        train_(args.mode == Mode::train) {}

  void forward(const Bound& t) override {
    if (!train_) return batch_norm_infer(ctx_, opts_, t.x[0], shortcut(t.x), params(t), t.y);
    batch_norm_train(ctx_,
                     opts_,
                     t.x[0],
                     shortcut(t.x),
                     params(t),
                     t.y,
                     t.saved.empty() ? Tensor{} : t.saved[0],
                     t.saved.empty() ? Tensor{} : t.saved[1]);
  }
  void backward(const Bound& t) override {
    // Where y was not kept, its memory may be dx's by now.
    const Tensor y = reads_y_ ? t.y : Tensor{};
    if (train_) {
      batch_norm_backward(ctx_,
                          opts_,
                          t.x[0],
                          y,
                          t.dy,
                          t.p[0],
                          t.p[1],
                          t.saved[0],
                          t.saved[1],
                          t.dx[0],
                          shortcut(t.dx),
                          t.dp[0],
                          t.dp[1]);
    } else {
      batch_norm_backward_frozen(
          ctx_, opts_, t.x[0], y, t.dy, params(t), t.dx[0], shortcut(t.dx), t.dp[0], t.dp[1]);
    }
  }
  bool can_recompute() const override { return true; }
  void recompute(const Bound& t) override {
    if (!train_) return forward(t);
    batch_norm_apply(
        ctx_, opts_, t.x[0], shortcut(t.x), t.p[0], t.p[1], t.saved[0], t.saved[1], t.y);
  }
  bool takes_slice(std::size_t input) const override { return input == 0; }
  bool makes_slice() const override { return true; }

 private:
  // What is added behind the norm, or its gradient.
  static Tensor shortcut(const std::vector<Tensor>& x) { return x.size() > 1 ? x[1] : Tensor{}; }
  static BatchNormParams params(const Bound& t) { return {t.p[0], t.p[1], t.p[2], t.p[3], t.p[4]}; }

  Context& ctx_;
  BatchNormOpts opts_;
  bool reads_y_, train_;
};

class BatchNorm2dLayer : public Layer {
 public:
  explicit BatchNorm2dLayer(const BatchNorm2dOpts& opts) : opts_(opts) {}
  std::string type() const override { return "BatchNorm2d"; }
  Shape infer(std::span<const Shape> x) const override {
    LAMINA_CHECK(!x[0].flat,
                 "batch normalisation: the input was flattened; normalise before the flatten.");
    return x[0];
  }
  std::vector<ParamSpec> params(std::span<const Shape> x) const override {
    using Kind = ParamSpec::Kind;
    const Init ones{Init::Kind::ones};
    return {{.name = "weight", .shape = {x[0].c}, .init = opts_.zero_init ? Init{} : ones},
            {.name = "bias", .shape = {x[0].c}},
            {.name = "running_mean", .shape = {x[0].c}, .kind = Kind::buffer},
            {.name = "running_var", .shape = {x[0].c}, .kind = Kind::buffer, .init = ones},
            {.name = "num_batches_tracked", .shape = {}, .kind = Kind::counter}};
  }
  std::vector<SavedSpec> saved(const CompileArgs& args) const override {
    if (args.mode != Mode::train) return {};
    const DType dtype = statistics_dtype(args.dtype);
    return {{"mean", features(1, args.x[0].c), dtype}, {"invstd", features(1, args.x[0].c), dtype}};
  }
  // The shortcut passes through.
  bool backward_reads_x(std::size_t input) const override { return input == 0; }
  bool backward_reads_y() const override { return nn::backward_reads_y(opts_); }
  std::unique_ptr<Layer> with_sum() const override {
    if (opts_.act != Act::none || opts_.sum) return nullptr;
    BatchNorm2dOpts opts = opts_;
    opts.sum = true;
    return std::make_unique<BatchNorm2dLayer>(opts);
  }
  std::unique_ptr<Layer> with_activation(Act act) const override {
    if (opts_.act != Act::none) return nullptr;
    BatchNorm2dOpts opts = opts_;
    opts.act = act;
    return std::make_unique<BatchNorm2dLayer>(opts);
  }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<BatchNorm2dOp>(args, opts_);
  }
  KernelWork kernel(std::span<const Shape>) const override {
    return {"batch_norm", BatchNormOpts{opts_.eps, opts_.momentum, opts_.act}};
  }

 private:
  BatchNorm2dOpts opts_;
};

}  // namespace

ValueId batch_norm2d(Graph& graph,
                     const std::string& name,
                     ValueId x,
                     const BatchNorm2dOpts& opts) {
  return graph.add(name, std::make_shared<BatchNorm2dLayer>(opts), {x});
}

}  // namespace lamina::nn
