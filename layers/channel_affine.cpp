// SPDX-License-Identifier: Apache-2.0
#include "layers/channel_affine.h"

#include "kernels/batch_norm.h"

namespace lamina::nn {

namespace {

// A batch norm with frozen statistics 0 and 1, whose vectors are constants of the op.
class ChannelAffineOp : public LayerOp {
 public:
  ChannelAffineOp(const CompileArgs& args, const ChannelAffineOpts& opts) : ctx_(args.ctx) {
    LAMINA_CHECK(!args.need_dx[0], "channel_affine: stands in front of the net, on its input.");
    const auto channels = opts.scale.size();
    const std::vector<float> zeros(channels, 0.0f), ones(channels, 1.0f);
    const DType dtype = statistics_dtype(args.dtype);
    for (const auto* values : {&opts.scale, &opts.shift, &zeros, &ones}) {
      constants_.push_back(ctx_.allocate(channels * size_of(dtype)));
      if (dtype == DType::f64) {
        const std::vector<double> wide(values->begin(), values->end());
        ctx_.copy_in(constants_.back().data(), wide.data(), constants_.back().size());
      } else {
        ctx_.copy_in(constants_.back().data(), values->data(), constants_.back().size());
      }
    }
    const auto at = [&](std::size_t i) {
      return vector_view(constants_[i].data(), dtype, static_cast<std::int64_t>(channels));
    };
    params_ = {at(0), at(1), at(2), at(3), {}};
  }
  void forward(const Bound& t) override {
    batch_norm_infer(ctx_, {.eps = 0.0}, t.x[0], {}, params_, t.y);
  }
  void backward(const Bound&) override {}

 private:
  Context& ctx_;
  std::vector<Buffer> constants_;
  BatchNormParams params_;
};

class ChannelAffineLayer : public Layer {
 public:
  explicit ChannelAffineLayer(const ChannelAffineOpts& opts) : opts_(opts) {}
  std::string type() const override { return "ChannelAffine"; }
  Shape infer(std::span<const Shape> x) const override {
    LAMINA_CHECK(opts_.scale.size() == static_cast<std::size_t>(x[0].c) &&
                     opts_.shift.size() == opts_.scale.size(),
                 "channel_affine: {} scales and {} shifts do not fit {} channels.",
                 opts_.scale.size(),
                 opts_.shift.size(),
                 x[0].c);
    return x[0];
  }
  std::unique_ptr<LayerOp> compile(const CompileArgs& args) const override {
    return std::make_unique<ChannelAffineOp>(args, opts_);
  }

 private:
  ChannelAffineOpts opts_;
};

}  // namespace

ValueId channel_affine(Graph& graph,
                       const std::string& name,
                       ValueId x,
                       const ChannelAffineOpts& opts) {
  return graph.add(name, std::make_shared<ChannelAffineLayer>(opts), {x}, false);
}

}  // namespace lamina::nn
