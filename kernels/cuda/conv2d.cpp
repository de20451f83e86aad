// Convolution on cuDNN: a plan for each pass, made once. Contract: kernels/conv2d.h.
// Tensors, and the workspace, start at a multiple of CudnnPlan::kAlignment.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv2d.h"

#include <algorithm>

#include "kernels/checks.h"
#include "kernels/cuda/bias.h"
#include "kernels/cuda/conv2d_graph.h"

namespace lamina {
namespace cuda {
namespace {

// What of bias and activation cuDNN should do. It has precompiled engines for bias and for bias
// with relu behind a convolution, and for nothing else of ours.
Epilogue wanted_epilogue(const Conv2dDesc& desc) {
  if (!desc.bias) return Epilogue::none;
  return desc.act == Act::relu ? Epilogue::bias_relu : Epilogue::bias;
}

std::string_view name_of(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::none:
      return "forward";
    case Epilogue::bias:
      return "forward+bias";
    case Epilogue::bias_relu:
      return "forward+bias+relu";
  }
  return "?";
}

class CudnnConv2d final : public Conv2d {
 public:
  CudnnConv2d(Context& ctx, const Conv2dDesc& desc)
      : ctx_(ctx), desc_(desc), epilogue_(wanted_epilogue(desc)) {
    const CudnnTarget target = cudnn_target_of(ctx);
    handle_ = target.handle;
    const auto plan = [&](Conv2dPass pass, Epilogue epilogue = Epilogue::none) {
      return CudnnPlan(target, desc.dtype, conv2d_graph(desc, pass, epilogue));
    };
    forward_ = plan(Conv2dPass::forward, epilogue_);
    if (!forward_ && epilogue_ != Epilogue::none) {
      epilogue_ = Epilogue::none;
      forward_ = plan(Conv2dPass::forward);
    }
    require(forward_, "forward");
    if (desc.backward_data) {
      backward_data_ = plan(Conv2dPass::backward_data);
      require(backward_data_, "backward_data");
    }
    if (desc.backward_weights) {
      backward_weights_ = plan(Conv2dPass::backward_weights);
      require(backward_weights_, "backward_weights");
    }
  }

  std::size_t workspace_bytes() const override {
    return std::max({forward_.workspace_bytes(),
                     backward_data_.workspace_bytes(),
                     backward_weights_.workspace_bytes()});
  }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::conv2d_forward(desc_, x, w, b, y);
    if (epilogue_ == Epilogue::none) {
      forward_.run(handle_, {{kX, x.data}, {kW, w.data}, {kY, y.data}}, workspace);
      if (desc_.bias || desc_.act != Act::none) add_bias_act(ctx_, desc_.act, b, y);
      return;
    }
    forward_.run(handle_, {{kX, x.data}, {kW, w.data}, {kB, b.data}, {kY, y.data}}, workspace);
    if (epilogue_ == Epilogue::bias && desc_.act != Act::none) act_forward(ctx_, desc_.act, y, y);
  }

  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    checks::conv2d_backward_data(desc_, dy, w, dx);
    backward_data_.run(handle_, {{kY, dy.data}, {kW, w.data}, {kX, dx.data}}, workspace);
  }

  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    checks::conv2d_backward_weights(desc_, x, y, dy, dw, db);
    bias_act_backward(ctx_, desc_.act, y, dy, db);
    backward_weights_.run(handle_, {{kX, x.data}, {kY, dy.data}, {kW, dw.data}}, workspace);
  }

  // "cuDNN forward+bias+relu eng41_k2=4 0 B; backward_weights eng65_k2=5 295107 B"
  std::string describe() const override {
    std::string text = "cuDNN";
    const auto add = [&](std::string_view pass, const CudnnPlan& plan) {
      if (plan) text += fmt::format(" {} {} {} B;", pass, plan.engine(), plan.workspace_bytes());
    };
    add(name_of(epilogue_), forward_);
    add("backward_data", backward_data_);
    add("backward_weights", backward_weights_);
    text.pop_back();
    return text;
  }

 private:
  void require(const CudnnPlan& plan, std::string_view pass) const {
    LAMINA_CHECK(plan,
                 "conv2d: cuDNN has no engine for {} of {} with {} filters of {} x {} in {}: {}",
                 pass,
                 desc_.x.to_string(),
                 desc_.k,
                 desc_.r,
                 desc_.s,
                 lamina::name_of(desc_.dtype),
                 plan.why_not());
  }

  Context& ctx_;
  Conv2dDesc desc_;
  Epilogue epilogue_;  // what the forward plan does itself
  cudnnContext* handle_ = nullptr;
  CudnnPlan forward_, backward_data_, backward_weights_;
};

}  // namespace
}  // namespace cuda

std::unique_ptr<Conv2d> cuda::make_conv2d(Context& ctx, const Conv2dDesc& desc) {
  checks::conv2d(ctx, desc);
  return std::make_unique<CudnnConv2d>(ctx, desc);
}

}  // namespace lamina
