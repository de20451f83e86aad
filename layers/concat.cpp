// SPDX-License-Identifier: Apache-2.0
#include "layers/concat.h"

#include "kernels/concat.h"

namespace lamina::nn {

namespace {

class ConcatOp : public LayerOp {
 public:
  explicit ConcatOp(const CompileArgs& args) : ctx_(args.ctx) {
    for (const Shape& x : args.x) channels_.push_back(x.c);
  }
  void forward(const Bound& t) override { lamina::concat(ctx_, t.x, t.y); }
  void backward(const Bound& t) override { split(ctx_, t.dy, t.dx, channels_); }
  bool takes_slice(std::size_t) const override { return true; }
  bool makes_slice() const override { return true; }

 private:
  Context& ctx_;
  std::vector<std::int64_t> channels_;
};

class ConcatLayer : public Layer {
 public:
  std::string type() const override { return "Concat"; }
  bool is_concat() const override { return true; }
  Shape infer(std::span<const Shape> x) const override {
    Shape y = x[0];
    y.c = 0;
    for (const Shape& part : x) {
      LAMINA_CHECK(!part.flat && part.h == y.h && part.w == y.w,
                   "concat: a branch is {} and the first is {}; height and width must be equal.",
                   part.to_string(),
                   x[0].to_string());
      y.c += part.c;
    }
    return y;
  }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<ConcatOp>(args);
  }
  KernelWork kernel(std::span<const Shape>) const override { return {"concat"}; }
};

// A concat with zeros, which the op owns.
class PadChannelsOp : public LayerOp {
 public:
  PadChannelsOp(const CompileArgs& args, const PadChannelsOpts& opts)
      : ctx_(args.ctx), channels_{opts.front, args.x[0].c, opts.back} {
    Shape shape = args.x[0];
    for (std::int64_t c : {opts.front, opts.back}) {
      shape.c = c;
      zeros_.push_back(
          ctx_.allocate(static_cast<std::size_t>(shape.numel()) * size_of(args.dtype)));
      ctx_.zero(zeros_.back().data(), zeros_.back().size());
      padding_.push_back({zeros_.back().data(), args.dtype, shape});
    }
  }
  void forward(const Bound& t) override {
    parts_.clear();
    if (channels_[0] > 0) parts_.push_back(padding_[0]);
    parts_.push_back(t.x[0]);
    if (channels_[2] > 0) parts_.push_back(padding_[1]);
    lamina::concat(ctx_, parts_, t.y);
  }
  void backward(const Bound& t) override {
    const Tensor dx[] = {{}, t.dx[0], {}};
    const std::size_t first = channels_[0] > 0 ? 0 : 1;
    const std::size_t count = (channels_[2] > 0 ? 3 : 2) - first;
    split(ctx_,
          t.dy,
          std::span(dx).subspan(first, count),
          std::span(channels_).subspan(first, count));
  }

 private:
  Context& ctx_;
  std::vector<std::int64_t> channels_;
  std::vector<Buffer> zeros_;
  std::vector<Tensor> padding_, parts_;
};

class PadChannelsLayer : public Layer {
 public:
  explicit PadChannelsLayer(const PadChannelsOpts& opts) : opts_(opts) {}
  std::string type() const override { return "PadChannels"; }
  Shape infer(std::span<const Shape> x) const override {
    LAMINA_CHECK(opts_.front >= 0 && opts_.back >= 0,
                 "pad_channels: {} and {} channels cannot be added; give zero or more.",
                 opts_.front,
                 opts_.back);
    Shape y = x[0];
    y.c += opts_.front + opts_.back;
    return y;
  }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<PadChannelsOp>(args, opts_);
  }

 private:
  PadChannelsOpts opts_;
};

}  // namespace

ValueId concat(Graph& graph, const std::string& name, const std::vector<ValueId>& x) {
  LAMINA_CHECK(!x.empty(), "concat '{}': there is nothing to put side by side.", name);
  return graph.add(name, std::make_shared<ConcatLayer>(), x, false);
}

ValueId pad_channels(Graph& graph,
                     const std::string& name,
                     ValueId x,
                     const PadChannelsOpts& opts) {
  return graph.add(name, std::make_shared<PadChannelsLayer>(opts), {x}, false);
}

}  // namespace lamina::nn
