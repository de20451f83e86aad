// Chooses what runs a convolution, pass by pass, and runs those that are linear layers.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv2d.h"

#include <algorithm>
#include <array>

#include "kernels/checks.h"
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/device.h"
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
    return {{name}, {name}, {name}};
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

// Passes by different implementations.
class MixedConv2d final : public NamedConv2d {
 public:
  MixedConv2d(Context& ctx, const Conv2dDesc& desc, const Conv2dPasses& passes) : passes_(passes) {
    for (Conv2dImpl impl : {passes.forward, passes.data, passes.weights}) {
      std::unique_ptr<NamedConv2d>& plan = plans_[static_cast<std::size_t>(impl)];
      if (plan) continue;
      Conv2dDesc part = desc;
      part.backward_data = desc.backward_data && passes.data == impl;
      part.backward_weights = desc.backward_weights && passes.weights == impl;
      plan = make_named_conv2d(ctx, part, impl);
    }
  }

  std::size_t workspace_bytes() const override {
    std::size_t bytes = 0;
    for (const auto& plan : plans_) bytes = std::max(bytes, plan ? plan->workspace_bytes() : 0);
    return bytes;
  }
  Conv2dNames names() const override {
    return {of(passes_.forward).names().forward,
            of(passes_.data).names().data,
            of(passes_.weights).names().weights};
  }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    of(passes_.forward).forward(x, w, b, y, workspace);
  }
  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    of(passes_.data).backward_data(dy, w, dx, workspace);
  }
  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    of(passes_.weights).backward_weights(x, y, dy, dw, db, workspace);
  }

 private:
  NamedConv2d& of(Conv2dImpl impl) const { return *plans_[static_cast<std::size_t>(impl)]; }

  Conv2dPasses passes_;
  std::array<std::unique_ptr<NamedConv2d>, 5> plans_;  // by implementation
};

double fill(std::int64_t count) {
  return static_cast<double>(count) / static_cast<double>(round_up(count));
}

// What the models below know of a machine, in GFLOP/s and nanoseconds of one thread.
struct ImagesCosts {
  double forward, weights;  // of our kernels
  double transpose;         // of a float of both images
};
struct WinogradCosts {
  double direct, direct_weights, product;  // a multiply-add of each
  double channel;                          // of a tile, turned
  double filter, filter_back, filter_gradient;
};
// With AVX-512 fitted to 27 and 17 shapes on a Xeon, with AVX2 to 27 and 27 on an EPYC (Zen 3).
constexpr bool kWide = kLanes == 16;
constexpr ImagesCosts kImages = kWide ? ImagesCosts{165, 150, 0.15} : ImagesCosts{80, 45, 0.3};
constexpr WinogradCosts kWinograd =
    kWide ? WinogradCosts{2.0 / 165, 2.0 / 165, 2.0 / 150, 9, 90, 70, 60}
          : WinogradCosts{2.0 / 75, 2.0 / 52, 2.0 / 75, 20, 60, 60, 60};

// GFLOP/s of oneDNN's direct convolution.
struct DnnlRates {
  double forward, data, weights;
};
DnnlRates dnnl_rates(const Conv2dDesc& d) {
  const std::int64_t c = d.x.c, k = d.k;
  if (kWide) {
    // It fills its lanes with filters, or with input channels in the data gradient, and likes a
    // first layer's few channels little.
    const double channels = c == 1 ? 55 : c < 4 ? 120 : c < 16 ? 140 : 165;
    return {channels * fill(k), 165 * fill(c), channels * fill(k)};
  }
  // It keeps few sums side by side for few filters, and has no vectors for less than one of inputs.
  const double filters = k <= 8 ? 36 : k <= 16 ? 58 : 70;
  const double inputs = c < 8 ? 5.5 * static_cast<double>(c) : c <= 16 ? 45 : 60;
  return {filters * fill(k), inputs, k < 8 ? 30 * fill(k) : 57};
}

// Which passes our kernels do faster, for few channels and small windows. The model asks for no
// timing, so that a net always computes the same bits.
OwnPasses faster_by_images(const Conv2dDesc& d) {
  if (!kFastVectors) return {};
  const Shape y = d.y();
  const auto flops = static_cast<double>(2 * y.per_sample() * d.r * d.s * d.x.c);
  // Missing images of the last tile cost as much as real ones.
  const auto floats = static_cast<double>(d.x.per_sample() + y.per_sample());
  const auto ours = [&](double gflops) {
    return (flops / gflops + floats * kImages.transpose) / fill(d.x.n);
  };
  const DnnlRates dnnl = dnnl_rates(d);
  // An image side by side with the others of its tile has to stay in the last cache; in the weight
  // gradient, which reads a tile for each block of sums, in the second level.
  constexpr std::int64_t kImageFloats = (1 << 20) / kLanes, kTileFloats = (1 << 18) / kLanes;
  return {
      .forward = ours(kImages.forward) < flops / dnnl.forward && d.x.per_sample() <= kImageFloats,
      .data = ours(kImages.forward) < flops / dnnl.data && y.per_sample() <= kImageFloats,
      .weights = ours(kImages.weights) < flops / dnnl.weights && floats <= kTileFloats};
}

// Which passes Winograd's filtering does faster than oneDNN's direct convolution.
OwnPasses faster_by_winograd(const Conv2dDesc& d) {
  if (!kFastVectors || !winograd_conv2d_can_run(d)) return {};
  constexpr double kMargin = 1.15;
  const auto tiles = [](const Shape& s) {
    return static_cast<double>(s.n * ((s.h + 3) / 4) * ((s.w + 3) / 4));
  };
  const auto filters = static_cast<double>(d.k * d.x.c);
  const auto channels = static_cast<double>(d.k + d.x.c);
  const Shape y = d.y();
  const double products = 9 * filters * static_cast<double>(y.n * y.h * y.w);
  const auto faster = [&](const Shape& of, double filter, double direct) {
    const double here =
        tiles(of) * (kWinograd.product * 36 * filters + kWinograd.channel * channels);
    return (here + filter * filters) * kMargin < direct * products;
  };
  return {.forward = faster(y, kWinograd.filter, kWinograd.direct),
          .data = faster(d.x, kWinograd.filter_back, kWinograd.direct),
          .weights = faster(y, kWinograd.filter_gradient, kWinograd.direct_weights)};
}

Conv2dPasses passes_of(const Conv2dDesc& desc, bool winograd) {
  const OwnPasses own = own_passes(desc);
  const OwnPasses fast = winograd ? faster_by_winograd(desc) : OwnPasses{};
  const auto impl = [](bool images, bool tiles) {
    return tiles ? Conv2dImpl::winograd : images ? Conv2dImpl::images : Conv2dImpl::dnnl;
  };
  Conv2dPasses passes{.forward = impl(own.forward, fast.forward),
                      .data = impl(own.data, fast.data),
                      .weights = impl(own.weights, fast.weights)};
  if (!desc.backward_data) passes.data = passes.forward;
  if (!desc.backward_weights) passes.weights = passes.forward;
  return passes;
}

}  // namespace

std::string NamedConv2d::describe() const {
  const Conv2dNames n = names();
  const std::string &forward = n.forward.name, &data = n.data.name, &weights = n.weights.name;
  std::string text = forward;
  if (!data.empty() && data != forward) text += ", data " + data;
  if (!weights.empty() && weights != forward) text += ", weights " + weights;
  return text;
}

int NamedConv2d::reorders() const {
  const Conv2dNames n = names();
  return n.forward.reorders + n.data.reorders + n.weights.reorders;
}

bool linear_conv2d_can_run(const Conv2dDesc& d) {
  return d.groups == 1 && d.r == d.x.h && d.s == d.x.w && d.pad_h == 0 && d.pad_w == 0 &&
         d.dilation_h == 1 && d.dilation_w == 1;
}

std::unique_ptr<NamedConv2d> make_linear_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return std::make_unique<LinearConv2d>(ctx, desc);
}

std::unique_ptr<NamedConv2d> make_named_conv2d(Context& ctx,
                                               const Conv2dDesc& desc,
                                               Conv2dImpl impl) {
  switch (impl) {
    case Conv2dImpl::images:
      return make_images_conv2d(ctx, desc);
    case Conv2dImpl::linear:
      return make_linear_conv2d(ctx, desc);
    case Conv2dImpl::winograd:
      return make_winograd_conv2d(ctx, desc);
    default:
      return make_dnnl_conv2d(ctx, desc);
  }
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
  if (impl != Conv2dImpl::automatic) return make_named_conv2d(ctx, desc, impl);
  if (linear_conv2d_can_run(desc)) return make_linear_conv2d(ctx, desc);
  CpuDevice& device = device_of(ctx);
  Conv2dPasses passes = passes_of(desc, device.winograd());
  if (PlanCache* const tuned = device.tuned_plans())
    passes = tuned_conv2d_passes(ctx, desc, passes, *tuned);
  if (passes.data == passes.forward && passes.weights == passes.forward)
    return make_named_conv2d(ctx, desc, passes.forward);
  return std::make_unique<MixedConv2d>(ctx, desc, passes);
}

std::unique_ptr<Conv2d> make_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return make_conv2d_by(ctx, desc, Conv2dImpl::automatic);
}

}  // namespace lamina::cpu
