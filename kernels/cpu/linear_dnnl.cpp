// Fully connected layers on oneDNN's inner product.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/checks.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/dnnl_call.h"
#include "kernels/cpu/fused_act.h"
#include "kernels/cpu/linear_impl.h"

namespace lamina::cpu {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

constexpr auto kF32 = memory::data_type::f32;

class DnnlLinear final : public Linear {
 public:
  DnnlLinear(Context& ctx, const LinearDesc& desc)
      : ctx_(ctx), device_(device_of(ctx)), desc_(desc) {
    dnnl_checked(name(), [&] { plan(); });
  }

  std::size_t workspace_bytes() const override { return workspace_bytes_; }
  std::string describe() const override { return description_; }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::linear_forward(desc_, x, w, b, y);
    dnnl_checked(name(), [&] {
      if (desc_.bias)
        forward_.run(device_.stream(), {x.data, w.data, b.data, y.data}, workspace);
      else
        forward_.run(device_.stream(), {x.data, w.data, y.data}, workspace);
    });
    apply_unfused(ctx_, desc_.act, y);
  }

  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    checks::linear_backward_data(desc_, dy, w, dx);
    dnnl_checked(name(), [&] {
      backward_data_.run(device_.stream(), {dy.data, w.data, dx.data}, workspace);
    });
  }

  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    checks::linear_backward_weights(desc_, x, y, dy, dw, db);
    if (desc_.act != Act::none) act_backward(ctx_, desc_.act, y, dy, dy);
    dnnl_checked(name(), [&] {
      if (!desc_.bias) {
        backward_weights_.run(device_.stream(), {x.data, dy.data, dw.data}, workspace);
        return;
      }
      // A bias gradient nobody wants goes behind the primitive's part of the workspace.
      void* const unwanted =
          static_cast<std::byte*>(workspace) + backward_weights_.workspace_bytes();
      backward_weights_.run(
          device_.stream(), {x.data, dy.data, dw.data, db ? db.data : unwanted}, workspace);
    });
  }

 private:
  std::string name() const { return fmt::format("linear layer of {} to {}", desc_.in, desc_.k); }

  // The weights stay in our layout: oneDNN would rather have them in blocks, but copying them there
  // and back takes more time than its products gain, and as much memory again.
  void plan() {
    const memory::desc x({desc_.n, desc_.in}, kF32, Tag::ab), w({desc_.k, desc_.in}, kF32, Tag::ab),
        y({desc_.n, desc_.k}, kF32, Tag::ab);
    const memory::desc bias = desc_.bias ? memory::desc({desc_.k}, kF32, Tag::x) : memory::desc();
    const bool training = desc_.backward_data || desc_.backward_weights;
    const auto kind =
        training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    const auto& engine = device_.engine();
    dnnl::primitive_attr plain, fused;
    plain.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    fused.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    fuse(desc_.act, fused);

    const auto forward_with = [&](const dnnl::primitive_attr& attr) {
      return forward_pd<dnnl::inner_product_forward>(engine, attr, kind, x, w, bias, y);
    };
    const auto fwd = forward_with(fused);
    std::vector<DnnlCall::Operand> inputs{{DNNL_ARG_SRC, x, x}, {DNNL_ARG_WEIGHTS, w, w}};
    if (desc_.bias) inputs.push_back({DNNL_ARG_BIAS, bias, bias});
    forward_ = {engine,
                dnnl::inner_product_forward(fwd),
                fwd.scratchpad_desc(),
                inputs,
                {{DNNL_ARG_DST, y, y}}};
    description_ = fmt::format("oneDNN {}", fwd.impl_info_str());
    workspace_bytes_ = forward_.workspace_bytes();
    if (!training) return;

    const auto hint = forward_with(plain);
    if (desc_.backward_data) {
      const auto pd = backward_pd<dnnl::inner_product_backward_data>(engine, plain, hint, x, w, y);
      backward_data_ = {engine,
                        dnnl::inner_product_backward_data(pd),
                        pd.scratchpad_desc(),
                        {{DNNL_ARG_DIFF_DST, y, y}, {DNNL_ARG_WEIGHTS, w, w}},
                        {{DNNL_ARG_DIFF_SRC, x, x}}};
      description_ += fmt::format(", data {}", pd.impl_info_str());
      workspace_bytes_ = std::max(workspace_bytes_, backward_data_.workspace_bytes());
    }
    if (desc_.backward_weights) {
      const auto pd =
          backward_pd<dnnl::inner_product_backward_weights>(engine, plain, hint, x, w, bias, y);
      std::vector<DnnlCall::Operand> outputs{{DNNL_ARG_DIFF_WEIGHTS, w, w}};
      if (desc_.bias) outputs.push_back({DNNL_ARG_DIFF_BIAS, bias, bias});
      backward_weights_ = {engine,
                           dnnl::inner_product_backward_weights(pd),
                           pd.scratchpad_desc(),
                           {{DNNL_ARG_SRC, x, x}, {DNNL_ARG_DIFF_DST, y, y}},
                           outputs};
      description_ += fmt::format(", weights {}", pd.impl_info_str());
      workspace_bytes_ = std::max(
          workspace_bytes_,
          backward_weights_.workspace_bytes() + static_cast<std::size_t>(desc_.k) * sizeof(float));
    }
  }

  Context& ctx_;
  CpuDevice& device_;
  LinearDesc desc_;
  DnnlCall forward_, backward_data_, backward_weights_;
  std::size_t workspace_bytes_ = 0;
  std::string description_;
};

}  // namespace

std::unique_ptr<Linear> make_dnnl_linear(Context& ctx, const LinearDesc& desc) {
  return std::make_unique<DnnlLinear>(ctx, desc);
}

}  // namespace lamina::cpu
