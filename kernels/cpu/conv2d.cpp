// Chooses what runs a convolution, pass by pass, and runs those that are linear layers.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv2d.h"

#include <algorithm>

#include "kernels/checks.h"
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {
namespace {

// The window is the whole input and NHWC is the order of the weights, so the memory is a matrix.
class LinearConv2d final : public NamedConv2d {
 public:
  LinearConv2d(Context& ctx, const Conv2dDesc& desc)
      : desc_(desc),
        linear_(make_linear(ctx,
                            {.n = desc.x.n,
                             .in = desc.x.per_sample(),
                             .k = desc.k,
                             .bias = desc.bias,
                             .act = desc.act,
                             .dtype = desc.dtype,
                             .backward_data = desc.backward_data,
                             .backward_weights = desc.backward_weights})) {}

  std::size_t workspace_bytes() const override { return linear_->workspace_bytes(); }
  Conv2dNames names() const override {
    const std::string name = "linear " + linear_->describe();
    return {name, name, name};
  }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::conv2d_forward(desc_, x, w, b, y);
    linear_->forward(x, w, b, y, workspace);
  }
  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    checks::conv2d_backward_data(desc_, dy, w, dx);
    linear_->backward_data(dy, w, dx, workspace);
  }
  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    checks::conv2d_backward_weights(desc_, x, y, dy, dw, db);
    linear_->backward_weights(x, y, dy, dw, db, workspace);
  }

 private:
  Conv2dDesc desc_;
  std::unique_ptr<Linear> linear_;
};

// Some passes by our own kernels, the others by oneDNN.
class MixedConv2d final : public NamedConv2d {
 public:
  MixedConv2d(Context& ctx, const Conv2dDesc& desc, const OwnPasses& own)
      : own_(own),
        images_(make_images_conv2d(ctx, with_passes(desc, own.data, own.weights))),
        dnnl_(make_dnnl_conv2d(ctx, with_passes(desc, !own.data, !own.weights))) {}

  std::size_t workspace_bytes() const override {
    return std::max(images_->workspace_bytes(), dnnl_->workspace_bytes());
  }
  Conv2dNames names() const override {
    return {of(own_.forward).names().forward,
            of(own_.data).names().data,
            of(own_.weights).names().weights};
  }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    of(own_.forward).forward(x, w, b, y, workspace);
  }
  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    of(own_.data).backward_data(dy, w, dx, workspace);
  }
  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    of(own_.weights).backward_weights(x, y, dy, dw, db, workspace);
  }

 private:
  static Conv2dDesc with_passes(Conv2dDesc desc, bool data, bool weights) {
    desc.backward_data = desc.backward_data && data;
    desc.backward_weights = desc.backward_weights && weights;
    return desc;
  }
  NamedConv2d& of(bool own) const { return own ? *images_ : *dnnl_; }

  OwnPasses own_;
  std::unique_ptr<NamedConv2d> images_, dnnl_;
};

double fill(std::int64_t count) {
  return static_cast<double>(count) / static_cast<double>((count + kLanes - 1) / kLanes * kLanes);
}

// Which passes our kernels do faster, by a model of both: arithmetic in GFLOP/s, shares of lanes in
// use, nanoseconds. It is fitted to 27 small shapes (1 to 32 channels, windows 1, 3 and 5) and asks
// for no timing, so that a net always computes the same bits.
OwnPasses faster_by_images(const Conv2dDesc& d) {
  if (!kWideVectors) return {};  // sixteen lanes need the registers of AVX-512
  const Shape y = d.y();
  const auto flops = static_cast<double>(2 * y.per_sample() * d.r * d.s * d.x.c);
  // Ours: missing images of the last tile cost as much as real ones, and every float of both images
  // is transposed.
  constexpr double kTranspose = 0.15;
  const auto floats = static_cast<double>(d.x.per_sample() + y.per_sample());
  const auto ours = [&](double gflops) {
    return (flops / gflops + floats * kTranspose) / fill(d.x.n);
  };
  // oneDNN fills its lanes with filters, or with input channels in the data gradient, and likes a
  // first layer's few channels little.
  const double channels = d.x.c == 1 ? 55 : d.x.c < 4 ? 120 : d.x.c < 16 ? 140 : 165;
  const double by_filters = flops / (channels * fill(d.k));
  const double by_channels = flops / (165 * fill(d.x.c));
  // An image side by side with fifteen others has to stay in the last cache; in the weight
  // gradient, which reads a tile for each block of sums, in the second level.
  constexpr std::int64_t kImageFloats = 65536, kTileFloats = 16384;
  return {.forward = ours(165) < by_filters && d.x.per_sample() <= kImageFloats,
          .data = ours(165) < by_channels && y.per_sample() <= kImageFloats,
          .weights = ours(150) < by_filters && floats <= kTileFloats};
}

}  // namespace

std::string NamedConv2d::describe() const {
  const Conv2dNames n = names();
  std::string text = n.forward;
  if (!n.data.empty() && n.data != n.forward) text += ", data " + n.data;
  if (!n.weights.empty() && n.weights != n.forward) text += ", weights " + n.weights;
  return text;
}

bool linear_conv2d_can_run(const Conv2dDesc& d) {
  return d.groups == 1 && d.r == d.x.h && d.s == d.x.w && d.pad_h == 0 && d.pad_w == 0 &&
         d.dilation_h == 1 && d.dilation_w == 1;
}

std::unique_ptr<NamedConv2d> make_linear_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return std::make_unique<LinearConv2d>(ctx, desc);
}

OwnPasses own_passes(const Conv2dDesc& d) {
  if (linear_conv2d_can_run(d)) {
    const bool own = linear_is_own({.n = d.x.n, .in = d.x.per_sample(), .k = d.k});
    return {own, own, own};
  }
  return images_conv2d_can_run(d) ? faster_by_images(d) : OwnPasses{};
}

std::unique_ptr<Conv2d> make_conv2d_by(Context& ctx, const Conv2dDesc& desc, Conv2dImpl impl) {
  checks::conv2d(ctx, desc);
  switch (impl) {
    case Conv2dImpl::images:
      return make_images_conv2d(ctx, desc);
    case Conv2dImpl::linear:
      return make_linear_conv2d(ctx, desc);
    case Conv2dImpl::dnnl:
      return make_dnnl_conv2d(ctx, desc);
    case Conv2dImpl::automatic:
      break;
  }
  if (linear_conv2d_can_run(desc)) return make_linear_conv2d(ctx, desc);
  const OwnPasses own = own_passes(desc);
  const bool data = own.data || !desc.backward_data;
  const bool weights = own.weights || !desc.backward_weights;
  if (own.forward && data && weights) return make_images_conv2d(ctx, desc);
  if (!own.forward && !(own.data && desc.backward_data) && !(own.weights && desc.backward_weights))
    return make_dnnl_conv2d(ctx, desc);
  return std::make_unique<MixedConv2d>(ctx, desc, own);
}

std::unique_ptr<Conv2d> make_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return make_conv2d_by(ctx, desc, Conv2dImpl::automatic);
}

}  // namespace lamina::cpu
