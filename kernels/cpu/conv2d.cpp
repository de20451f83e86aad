// Makes the plan of a convolution, perhaps a different one for each pass, and runs those that are
// linear layers.
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
  std::array<std::unique_ptr<NamedConv2d>, kConv2dImpls> plans_;  // by implementation
};

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
    case Conv2dImpl::taps:
      return make_taps_conv2d(ctx, desc);
    case Conv2dImpl::groups:
      return make_groups_conv2d(ctx, desc);
    case Conv2dImpl::widened:
      return make_widened_conv2d(ctx, desc);
    default:
      return make_dnnl_conv2d(ctx, desc);
  }
}

namespace {

std::unique_ptr<NamedConv2d> make_by_passes(Context& ctx,
                                            const Conv2dDesc& desc,
                                            const Conv2dPasses& passes) {
  if (passes.data == passes.forward && passes.weights == passes.forward)
    return make_named_conv2d(ctx, desc, passes.forward);
  return std::make_unique<MixedConv2d>(ctx, desc, passes);
}

}  // namespace

std::unique_ptr<NamedConv2d> make_usual_conv2d(Context& ctx, const Conv2dDesc& desc) {
  if (linear_conv2d_can_run(desc)) return make_linear_conv2d(ctx, desc);
  return make_by_passes(ctx, desc, usual_conv2d_passes(desc, device_of(ctx).winograd()));
}

std::unique_ptr<Conv2d> make_conv2d_by(Context& ctx, const Conv2dDesc& desc, Conv2dImpl impl) {
  checks::conv2d(ctx, desc);
  if (impl != Conv2dImpl::automatic) return make_named_conv2d(ctx, desc, impl);
  PlanCache* const tuned = device_of(ctx).tuned_plans();
  if (tuned == nullptr || linear_conv2d_can_run(desc)) return make_usual_conv2d(ctx, desc);
  const Conv2dPasses usual = usual_conv2d_passes(desc, device_of(ctx).winograd());
  return make_by_passes(ctx, desc, tuned_conv2d_passes(ctx, desc, usual, *tuned));
}

std::unique_ptr<Conv2d> make_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return make_conv2d_by(ctx, desc, Conv2dImpl::automatic);
}

}  // namespace lamina::cpu
