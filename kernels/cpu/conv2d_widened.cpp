// Convolution of bf16 tensors by kernels for f32.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/checks.h"
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/widened.h"

namespace lamina::cpu {
namespace {

Conv2dDesc in_f32(Conv2dDesc desc) {
  desc.dtype = DType::f32;
  return desc;
}

class WidenedConv2d final : public NamedConv2d {
 public:
  WidenedConv2d(Context& ctx, const Conv2dDesc& desc)
      : desc_(desc),
        passes_(
            ctx,
            {desc.x.numel(), desc.weights(), desc.bias ? desc.k : 0, desc.y().numel(), desc.act},
            make_usual_conv2d(ctx, in_f32(desc))) {}

  std::size_t workspace_bytes() const override { return passes_.workspace_bytes(); }
  Conv2dNames names() const override {
    Conv2dNames n = passes_.plan().names();
    for (Conv2dPass* pass : {&n.forward, &n.data, &n.weights})
      if (!pass->name.empty()) pass->name += " in f32";
    return n;
  }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::conv2d_forward(desc_, x, w, b, y);
    passes_.forward(x, w, b, y, workspace);
  }
  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    checks::conv2d_backward_data(desc_, dy, w, dx);
    passes_.backward_data(dy, w, dx, workspace);
  }
  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    checks::conv2d_backward_weights(desc_, x, y, dy, dw, db);
    passes_.backward_weights(x, y, dy, dw, db, workspace);
  }

 private:
  Conv2dDesc desc_;
  WidenedPasses<NamedConv2d> passes_;
};

}  // namespace

std::unique_ptr<NamedConv2d> make_widened_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return std::make_unique<WidenedConv2d>(ctx, desc);
}

}  // namespace lamina::cpu
