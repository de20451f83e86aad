// Convolution on oneDNN: NHWC outside, the weights in whatever layout the primitive prefers.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/checks.h"
#include "kernels/cpu/bias_gradient.h"
#include "kernels/cpu/conv2d_dnnl.h"
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/dnnl_by_image.h"
#include "kernels/cpu/fused_act.h"

namespace lamina::cpu {
namespace {

using dnnl::memory;

class DnnlConv2d final : public NamedConv2d {
 public:
  DnnlConv2d(Context& ctx, const Conv2dDesc& desc)
      : ctx_(ctx), device_(device_of(ctx)), desc_(desc), bias_(desc.y()) {
    dnnl_checked(label(), [&] { plan(); });
  }

  std::size_t workspace_bytes() const override { return workspace_bytes_; }
  Conv2dNames names() const override { return names_; }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::conv2d_forward(desc_, x, w, b, y);
    dnnl_checked(label(), [&] {
      const void* const bias = desc_.bias ? b.data : nullptr;
      if (forward_by_image_)
        forward_by_image_.run(x.data, w.data, bias, y.data, workspace);
      else if (desc_.bias)
        forward_.run(device_.stream(), {x.data, w.data, bias, y.data}, workspace);
      else
        forward_.run(device_.stream(), {x.data, w.data, y.data}, workspace);
    });
    apply_unfused(ctx_, desc_.act, y);
  }

  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    checks::conv2d_backward_data(desc_, dy, w, dx);
    dnnl_checked(label(), [&] {
      if (data_by_image_)
        data_by_image_.run(dy.data, w.data, nullptr, dx.data, workspace);
      else
        backward_data_.run(device_.stream(), {dy.data, w.data, dx.data}, workspace);
    });
  }

  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    checks::conv2d_backward_weights(desc_, x, y, dy, dw, db);
    if (desc_.act != Act::none) act_backward(ctx_, desc_.act, y, dy, dy);
    dnnl_checked(label(), [&] {
      weight_gradient_.run(
          x.data, dy.data, dw.data, db && !sums_bias() ? db.data : nullptr, workspace);
    });
    if (db && sums_bias()) bias_.run(ctx_, dy, db, workspace);
  }

 private:
  std::string label() const { return fmt::format("convolution of {}", desc_.x.to_string()); }

  // For 1x1 windows oneDNN adds up the gradient of a bias pixel after pixel in f32: over ten
  // thousand pixels, twelve times as far off as sums in blocks are.
  bool sums_bias() const { return desc_.bias && desc_.r == 1 && desc_.s == 1; }

  void plan() {
    plan_forward();
    if (desc_.backward_data) plan_data();
    if (desc_.backward_weights) {
      weight_gradient_ = {ctx_, desc_, desc_.bias && !sums_bias()};
      names_.weights = {weight_gradient_.name(), weight_gradient_.reorders()};
      needs(weight_gradient_.workspace_bytes());
      if (sums_bias()) needs(bias_.scratch_bytes());
    }
  }

  void needs(std::size_t bytes) { workspace_bytes_ = std::max(workspace_bytes_, bytes); }

  Conv2dDesc one_image() const {
    Conv2dDesc one = desc_;
    one.x.n = 1;
    return one;
  }

  void plan_forward() {
    const auto pd = forward_pd_of(desc_);
    const dnnl::memory::desc ours = dnnl_filters(desc_, desc_.dtype).ours,
                             wanted = pd.weights_desc();
    const std::string name = fmt::format("oneDNN {}", pd.impl_info_str());
    if (!splits_sums(name)) {
      forward_ = forward_call(desc_, pd, ours);
      names_.forward = {name, forward_.reorders()};
      needs(forward_.workspace_bytes());
      return;
    }
    forward_by_image_ = {ctx_, desc_.x, desc_.y(), desc_.dtype, ours, wanted, [&] {
                           const Conv2dDesc one = one_image();
                           return forward_call(one, forward_pd_of(one), wanted);
                         }};
    names_.forward = {name + " by image", forward_by_image_.reorders()};
    needs(forward_by_image_.workspace_bytes());
  }

  void plan_data() {
    const auto pd = data_pd_of(desc_);
    const dnnl::memory::desc ours = dnnl_filters(desc_, desc_.dtype).ours,
                             wanted = pd.weights_desc();
    const std::string name = fmt::format("oneDNN {}", pd.impl_info_str());
    if (!splits_sums(name)) {
      backward_data_ = data_call(desc_, pd, ours);
      names_.data = {name, backward_data_.reorders()};
      needs(backward_data_.workspace_bytes());
      return;
    }
    data_by_image_ = {ctx_, desc_.y(), desc_.x, desc_.dtype, ours, wanted, [&] {
                        const Conv2dDesc one = one_image();
                        return data_call(one, data_pd_of(one), wanted);
                      }};
    names_.data = {name + " by image", data_by_image_.reorders()};
    needs(data_by_image_.workspace_bytes());
  }

  static dnnl::primitive_attr attributes() {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attr;
  }

  dnnl::convolution_forward::primitive_desc forward_pd_of(const Conv2dDesc& d) const {
    dnnl::primitive_attr fused = attributes();
    fuse(d.act, fused);
    return dnnl_forward_pd(device_.engine(), fused, d);
  }
  dnnl::convolution_backward_data::primitive_desc data_pd_of(const Conv2dDesc& d) const {
    const DnnlOperand x = dnnl_image(d.x, d.dtype), y = dnnl_image(d.y(), d.dtype),
                      w = dnnl_filters(d, d.dtype);
    const auto hint = dnnl_forward_pd(device_.engine(), attributes(), d);
    const DnnlWindow window(d);
    return best_pd([&](bool open) {
      return backward_pd<dnnl::convolution_backward_data>(device_.engine(),
                                                          attributes(),
                                                          hint,
                                                          dnnl::algorithm::convolution_direct,
                                                          x.layout(open),
                                                          w.open,
                                                          y.layout(open),
                                                          window.stride,
                                                          window.dilation,
                                                          window.pad,
                                                          window.pad);
    });
  }

  // filters: the layout in which they come.
  DnnlCall forward_call(const Conv2dDesc& d,
                        const dnnl::convolution_forward::primitive_desc& pd,
                        const memory::desc& filters) const {
    std::vector<DnnlCall::Operand> inputs{
        {DNNL_ARG_SRC, dnnl_image(d.x, d.dtype).ours, pd.src_desc()},
        {DNNL_ARG_WEIGHTS, filters, pd.weights_desc()}};
    if (d.bias) inputs.push_back({DNNL_ARG_BIAS, pd.bias_desc(), pd.bias_desc()});
    return {device_.engine(),
            dnnl::convolution_forward(pd),
            pd.scratchpad_desc(),
            inputs,
            {{DNNL_ARG_DST, dnnl_image(d.y(), d.dtype).ours, pd.dst_desc()}}};
  }
  DnnlCall data_call(const Conv2dDesc& d,
                     const dnnl::convolution_backward_data::primitive_desc& pd,
                     const memory::desc& filters) const {
    return {device_.engine(),
            dnnl::convolution_backward_data(pd),
            pd.scratchpad_desc(),
            {{DNNL_ARG_DIFF_DST, dnnl_image(d.y(), d.dtype).ours, pd.diff_dst_desc()},
             {DNNL_ARG_WEIGHTS, filters, pd.weights_desc()}},
            {{DNNL_ARG_DIFF_SRC, dnnl_image(d.x, d.dtype).ours, pd.diff_src_desc()}}};
  }

  Context& ctx_;
  CpuDevice& device_;
  Conv2dDesc desc_;
  DnnlCall forward_, backward_data_;
  DnnlByImage forward_by_image_, data_by_image_;  // in place of those, or empty
  DnnlWeightGradient weight_gradient_;
  BiasGradient bias_;
  std::size_t workspace_bytes_ = 0;
  Conv2dNames names_;
};

}  // namespace

DnnlOperand dnnl_image(const Shape& s, DType dtype) {
  return {{s.n, s.c, s.h, s.w}, {s.h * s.w * s.c, 1, s.w * s.c, s.c}, dtype};
}

DnnlOperand dnnl_filters(const Conv2dDesc& d, DType dtype) {
  const std::int64_t c = d.x.c / d.groups, k = d.k / d.groups, filter = d.r * d.s * c;
  if (d.groups == 1) return {{k, c, d.r, d.s}, {filter, 1, d.s * c, c}, dtype};
  return {{d.groups, k, c, d.r, d.s}, {k * filter, filter, 1, d.s * c, c}, dtype};
}

dnnl::convolution_forward::primitive_desc dnnl_forward_pd(const dnnl::engine& engine,
                                                          const dnnl::primitive_attr& attr,
                                                          const Conv2dDesc& d) {
  const DnnlOperand x = dnnl_image(d.x, d.dtype), y = dnnl_image(d.y(), d.dtype),
                    w = dnnl_filters(d, d.dtype);
  const memory::desc bias =
      d.bias ? memory::desc({d.k}, dnnl_type(d.dtype), memory::format_tag::x) : memory::desc();
  const bool training = d.backward_data || d.backward_weights;
  const DnnlWindow window(d);
  return best_pd([&](bool open) {
    return forward_pd<dnnl::convolution_forward>(
        engine,
        attr,
        training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference,
        dnnl::algorithm::convolution_direct,
        x.layout(open),
        w.open,
        bias,
        y.layout(open),
        window.stride,
        window.dilation,
        window.pad,
        window.pad);
  });
}

std::unique_ptr<NamedConv2d> make_dnnl_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return std::make_unique<DnnlConv2d>(ctx, desc);
}

}  // namespace lamina::cpu
