// Convolution on oneDNN: NHWC outside, the weights in whatever layout the primitive prefers.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/checks.h"
#include "kernels/cpu/channel_blocks.h"
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/dnnl_call.h"
#include "kernels/cpu/fused_act.h"

namespace lamina::cpu {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

constexpr auto kF32 = memory::data_type::f32;

// A tensor in oneDNN's order of dimensions: as it lies in our memory, and with the layout left
// open.
struct Operand {
  memory::desc ours, open;

  Operand(const memory::dims& dims, const memory::dims& strides)
      : ours(dims, kF32, strides), open(dims, kF32, Tag::any) {}
};

Operand image(const Shape& s) {
  return {{s.n, s.c, s.h, s.w}, {s.h * s.w * s.c, 1, s.w * s.c, s.c}};
}

Operand weights(const Conv2dDesc& d) {
  const std::int64_t c = d.x.c / d.groups, k = d.k / d.groups, filter = d.r * d.s * c;
  if (d.groups == 1) return {{k, c, d.r, d.s}, {filter, 1, d.s * c, c}};
  return {{d.groups, k, c, d.r, d.s}, {k * filter, filter, 1, d.s * c, c}};
}

// NHWC first; where oneDNN has only its reference loops for that, its own layout and reorders.
template <class MakePd>
auto best_pd(const MakePd& make) {
  const auto is_reference = [](const auto& pd) {
    return std::string_view(pd.impl_info_str()).starts_with("ref");
  };
  auto pd = make(false);
  if (is_reference(pd)) {
    const auto open = make(true);
    if (!is_reference(open)) pd = open;
  }
  return pd;
}

class DnnlConv2d final : public NamedConv2d {
 public:
  DnnlConv2d(Context& ctx, const Conv2dDesc& desc)
      : ctx_(ctx), device_(device_of(ctx)), desc_(desc) {
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
    checks::conv2d_backward_data(desc_, dy, w, dx);
    dnnl_checked(label(), [&] {
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
      if (!desc_.bias || sums_bias()) {
        backward_weights_.run(device_.stream(), {x.data, dy.data, dw.data}, workspace);
        if (db) sum_bias(dy.as<float>(), db.as<float>(), static_cast<double*>(workspace));
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
  std::string label() const { return fmt::format("convolution of {}", desc_.x.to_string()); }

  // For 1x1 windows oneDNN adds up the gradient of a bias pixel after pixel in f32: over ten
  // thousand pixels, twelve times as far off as sums in blocks are.
  bool sums_bias() const { return desc_.bias && desc_.r == 1 && desc_.s == 1; }

  // db[k] = sum of dy[n,p,q,k]. scratch: sum_doubles() numbers.
  void sum_bias(const float* dy, float* db, double* scratch) const {
    const Layout layout(desc_.y());
    double* const sums = scratch;
    const std::int64_t block = layout.block;
    sum_channels(
        ctx_, layout, sums + 2 * desc_.k, sums, [=](std::int64_t i, auto lane, auto count) {
          const Vec v = load_some(dy + i * block + lane, count);
          return Terms{{widen(v, 0), widen(v, 1)}, {}};
        });
    std::transform(sums, sums + desc_.k, db, [](double sum) { return static_cast<float>(sum); });
  }
  std::int64_t sum_doubles() const {
    const Layout layout(desc_.y());
    return 2 * desc_.k + layout.chunks * 2 * layout.block;
  }

  void plan() {
    const Operand x = image(desc_.x), y = image(desc_.y()), w = weights(desc_);
    const memory::desc bias = desc_.bias ? memory::desc({desc_.k}, kF32, Tag::x) : memory::desc();
    const memory::dims stride{desc_.stride_h, desc_.stride_w};
    const memory::dims dilation{desc_.dilation_h - 1, desc_.dilation_w - 1};
    const memory::dims pad{desc_.pad_h, desc_.pad_w};
    const auto direct = dnnl::algorithm::convolution_direct;
    const bool training = desc_.backward_data || desc_.backward_weights;
    const auto kind =
        training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    const auto& engine = device_.engine();
    dnnl::primitive_attr plain, fused;
    plain.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    fused.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    fuse(desc_.act, fused);
    const auto layout = [](const Operand& o, bool open) { return open ? o.open : o.ours; };

    const auto forward_with = [&](const dnnl::primitive_attr& attr) {
      return best_pd([&](bool open) {
        return forward_pd<dnnl::convolution_forward>(engine,
                                                     attr,
                                                     kind,
                                                     direct,
                                                     layout(x, open),
                                                     w.open,
                                                     bias,
                                                     layout(y, open),
                                                     stride,
                                                     dilation,
                                                     pad,
                                                     pad);
      });
    };
    const auto fwd = forward_with(fused);
    std::vector<DnnlCall::Operand> inputs{{DNNL_ARG_SRC, x.ours, fwd.src_desc()},
                                          {DNNL_ARG_WEIGHTS, w.ours, fwd.weights_desc()}};
    if (desc_.bias) inputs.push_back({DNNL_ARG_BIAS, bias, bias});
    forward_ = {engine,
                dnnl::convolution_forward(fwd),
                fwd.scratchpad_desc(),
                inputs,
                {{DNNL_ARG_DST, y.ours, fwd.dst_desc()}}};
    names_.forward = fmt::format("oneDNN {}", fwd.impl_info_str());
    workspace_bytes_ = forward_.workspace_bytes();
    if (!training) return;

    const auto hint = forward_with(plain);
    if (desc_.backward_data) {
      const auto pd = best_pd([&](bool open) {
        return backward_pd<dnnl::convolution_backward_data>(engine,
                                                            plain,
                                                            hint,
                                                            direct,
                                                            layout(x, open),
                                                            w.open,
                                                            layout(y, open),
                                                            stride,
                                                            dilation,
                                                            pad,
                                                            pad);
      });
      backward_data_ = {engine,
                        dnnl::convolution_backward_data(pd),
                        pd.scratchpad_desc(),
                        {{DNNL_ARG_DIFF_DST, y.ours, pd.diff_dst_desc()},
                         {DNNL_ARG_WEIGHTS, w.ours, pd.weights_desc()}},
                        {{DNNL_ARG_DIFF_SRC, x.ours, pd.diff_src_desc()}}};
      names_.data = fmt::format("oneDNN {}", pd.impl_info_str());
      workspace_bytes_ = std::max(workspace_bytes_, backward_data_.workspace_bytes());
    }
    if (desc_.backward_weights) {
      const auto pd = best_pd([&](bool open) {
        return backward_pd<dnnl::convolution_backward_weights>(engine,
                                                               plain,
                                                               hint,
                                                               direct,
                                                               layout(x, open),
                                                               w.open,
                                                               sums_bias() ? memory::desc() : bias,
                                                               layout(y, open),
                                                               stride,
                                                               dilation,
                                                               pad,
                                                               pad);
      });
      std::vector<DnnlCall::Operand> outputs{
          {DNNL_ARG_DIFF_WEIGHTS, w.ours, pd.diff_weights_desc()}};
      if (desc_.bias && !sums_bias()) outputs.push_back({DNNL_ARG_DIFF_BIAS, bias, bias});
      backward_weights_ = {
          engine,
          dnnl::convolution_backward_weights(pd),
          pd.scratchpad_desc(),
          {{DNNL_ARG_SRC, x.ours, pd.src_desc()}, {DNNL_ARG_DIFF_DST, y.ours, pd.diff_dst_desc()}},
          outputs};
      names_.weights = fmt::format("oneDNN {}", pd.impl_info_str());
      workspace_bytes_ = std::max(
          workspace_bytes_,
          backward_weights_.workspace_bytes() + static_cast<std::size_t>(desc_.k) * sizeof(float));
      if (sums_bias())
        workspace_bytes_ =
            std::max(workspace_bytes_, static_cast<std::size_t>(sum_doubles()) * sizeof(double));
    }
  }

  Context& ctx_;
  CpuDevice& device_;
  Conv2dDesc desc_;
  DnnlCall forward_, backward_data_, backward_weights_;
  std::size_t workspace_bytes_ = 0;
  Conv2dNames names_;
};

}  // namespace

std::unique_ptr<NamedConv2d> make_dnnl_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return std::make_unique<DnnlConv2d>(ctx, desc);
}

}  // namespace lamina::cpu
