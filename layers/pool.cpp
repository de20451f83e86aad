// SPDX-License-Identifier: Apache-2.0
#include "layers/pool.h"

#include "kernels/adaptive_pool.h"
#include "kernels/pool.h"

namespace lamina::nn {

namespace {

class MaxPoolOp : public LayerOp {
 public:
  MaxPoolOp(Context& ctx, const PoolOpts& opts) : ctx_(ctx), opts_(opts) {}
  void forward(const Bound& t) override {
    max_pool_forward(ctx_, opts_, t.x[0], t.y, t.saved.empty() ? Tensor{} : t.saved[0]);
  }
  void backward(const Bound& t) override {
    max_pool_backward(ctx_, opts_, t.dy, t.saved[0], t.dx[0]);
  }
  bool can_recompute() const override { return true; }
  void recompute(const Bound& t) override {
    max_pool_forward(ctx_, opts_, t.x[0], t.y, {});  // the winners were kept
  }
  bool makes_slice() const override { return true; }

 private:
  Context& ctx_;
  PoolOpts opts_;
};

class AvgPoolOp : public LayerOp {
 public:
  AvgPoolOp(Context& ctx, const PoolOpts& opts) : ctx_(ctx), opts_(opts) {}
  void forward(const Bound& t) override { avg_pool_forward(ctx_, opts_, t.x[0], t.y); }
  void backward(const Bound& t) override { avg_pool_backward(ctx_, opts_, t.dy, t.dx[0]); }
  bool makes_slice() const override { return true; }

 private:
  Context& ctx_;
  PoolOpts opts_;
};

class AdaptiveAvgPoolOp : public LayerOp {
 public:
  explicit AdaptiveAvgPoolOp(Context& ctx) : ctx_(ctx) {}
  void forward(const Bound& t) override { adaptive_avg_pool_forward(ctx_, t.x[0], t.y); }
  void backward(const Bound& t) override { adaptive_avg_pool_backward(ctx_, t.dy, t.dx[0]); }

 private:
  Context& ctx_;
};

class PoolLayer : public Layer {
 public:
  enum class Kind { max, average };
  PoolLayer(Kind kind, const PoolOpts& opts) : kind_(kind), opts_(opts) {}
  std::string type() const override { return kind_ == Kind::max ? "MaxPool2d" : "AvgPool2d"; }
  Shape infer(std::span<const Shape> x) const override {
    LAMINA_CHECK(!x[0].flat, "pooling: the input was flattened; pool before the flatten.");
    return pool_output(opts_, x[0]);
  }
  std::vector<SavedSpec> saved(const CompileArgs& args) const override {
    if (kind_ != Kind::max || !args.backward) return {};
    return {{"winner", args.y, DType::u8}};
  }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    if (kind_ == Kind::max) return std::make_unique<MaxPoolOp>(args.ctx, opts_);
    return std::make_unique<AvgPoolOp>(args.ctx, opts_);
  }
  KernelWork kernel(std::span<const Shape>) const override {
    return {kind_ == Kind::max ? "max_pool" : "avg_pool", opts_};
  }

 private:
  Kind kind_;
  PoolOpts opts_;
};

// A map that has the size already passes through.
class AdaptiveAvgPoolLayer : public Layer {
 public:
  AdaptiveAvgPoolLayer(const AdaptiveAvgPool2dOpts& opts, bool same) : opts_(opts), same_(same) {}
  std::string type() const override { return opts_.type; }
  Shape infer(std::span<const Shape> x) const override {
    LAMINA_CHECK(!x[0].flat, "pooling: the input was flattened; pool before the flatten.");
    LAMINA_CHECK(opts_.size.h > 0 && opts_.size.w > 0,
                 "adaptive pooling: the size {}x{} is not positive.",
                 opts_.size.h,
                 opts_.size.w);
    return {x[0].n, opts_.size.h, opts_.size.w, x[0].c};
  }
  bool is_view(Mode) const override { return same_; }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<AdaptiveAvgPoolOp>(args.ctx);
  }
  KernelWork kernel(std::span<const Shape>) const override { return {"adaptive_pool"}; }

 private:
  AdaptiveAvgPool2dOpts opts_;
  bool same_;
};

ValueId pool2d(
    Graph& graph, const std::string& name, ValueId x, PoolLayer::Kind kind, const Pool2dOpts& o) {
  const Size2 stride = o.stride.value_or(o.kernel);
  const PoolOpts opts{o.kernel.h,
                      o.kernel.w,
                      stride.h,
                      stride.w,
                      o.pad.h,
                      o.pad.w,
                      o.ceil_mode,
                      o.count_include_pad};
  return graph.add(name, std::make_shared<PoolLayer>(kind, opts), {x}, !o.functional);
}

}  // namespace

ValueId max_pool2d(Graph& graph, const std::string& name, ValueId x, const Pool2dOpts& opts) {
  return pool2d(graph, name, x, PoolLayer::Kind::max, opts);
}

ValueId avg_pool2d(Graph& graph, const std::string& name, ValueId x, const Pool2dOpts& opts) {
  return pool2d(graph, name, x, PoolLayer::Kind::average, opts);
}

ValueId adaptive_avg_pool2d(Graph& graph,
                            const std::string& name,
                            ValueId x,
                            const AdaptiveAvgPool2dOpts& opts) {
  const Shape& in = graph.shape(x);
  const bool same = in.h == opts.size.h && in.w == opts.size.w;
  return graph.add(name, std::make_shared<AdaptiveAvgPoolLayer>(opts, same), {x}, !opts.functional);
}

}  // namespace lamina::nn
