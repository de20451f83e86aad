// Convolution on cuDNN: a plan for each pass, made once; and the choice between cuDNN and our own
// kernels. Contract: kernels/conv2d.h.
// Tensors, and the workspace, start at a multiple of CudnnPlan::kAlignment.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv2d.h"

#include <algorithm>

#include "kernels/checks.h"
#include "kernels/cuda/bias.h"
#include "kernels/cuda/conv2d_graph.h"
#include "kernels/cuda/conv2d_impl.h"
#include "kernels/plan_cache.h"

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

// How long all passes of a plan take together.
double milliseconds_of(Conv2d& plan, const Conv2dDesc& desc, PlanTimer& timer) {
  const auto buffer = [&](std::int64_t count) {
    return timer.zeros(static_cast<std::size_t>(count) * size_of(desc.dtype));
  };
  const Shape y = desc.y();
  const Buffer xs = buffer(desc.x.numel()), dxs = buffer(desc.x.numel()), ys = buffer(y.numel()),
               dys = buffer(y.numel()), ws = buffer(desc.weights()), dws = buffer(desc.weights()),
               bs = buffer(desc.k), dbs = buffer(desc.k),
               workspace = timer.zeros(plan.workspace_bytes());
  const auto tensor = [&](const Buffer& memory, const Shape& shape) {
    return Tensor{memory.data(), desc.dtype, shape};
  };
  const auto vector = [&](const Buffer& memory, std::int64_t count) {
    return vector_view(memory.data(), desc.dtype, count);
  };
  const auto bias = [&](const Buffer& memory) {
    return desc.bias ? vector(memory, desc.k) : Tensor{};
  };
  return timer.milliseconds([&] {
    const Tensor x = tensor(xs, desc.x), w = vector(ws, desc.weights()), dy = tensor(dys, y);
    plan.forward(x, w, bias(bs), tensor(ys, y), workspace.data());
    if (desc.backward_weights)
      plan.backward_weights(
          x, tensor(ys, y), dy, vector(dws, desc.weights()), bias(dbs), workspace.data());
    if (desc.backward_data) plan.backward_data(dy, w, tensor(dxs, desc.x), workspace.data());
  });
}

// All that the choice depends on, as text.
std::string key_of(const Conv2dDesc& d, const CudnnTarget& target, const Conv2d& library) {
  return fmt::format(
      "depthwise or cuDNN, rules 1\ndevice {}\nx {} k {} window {}x{} stride {},{} pad {},{} "
      "dilation {},{} bias {} act {} dtype {}\nagainst {}",
      target.device,
      d.x.to_string(),
      d.k,
      d.r,
      d.s,
      d.stride_h,
      d.stride_w,
      d.pad_h,
      d.pad_w,
      d.dilation_h,
      d.dilation_w,
      d.bias,
      lamina::name_of(d.act),
      lamina::name_of(d.dtype),
      library.describe());
}

// Whichever runs faster; the choice is kept, so that a run that is resumed computes the same bits.
std::unique_ptr<Conv2d> faster_conv2d(Context& ctx,
                                      const Conv2dDesc& desc,
                                      const CudnnTarget& target) {
  std::unique_ptr<Conv2d> own = make_depthwise_conv2d(ctx, desc), library;
  try {
    library = make_cudnn_conv2d(ctx, desc);
  } catch (const Error&) {
    return own;  // cuDNN has no engine for it
  }
  constexpr const char *kOwn = "depthwise", *kLibrary = "cuDNN";
  const std::string key = key_of(desc, target, *library);
  if (target.cache != nullptr) {
    if (const auto kept = target.cache->find(key))
      return kept->engine == kLibrary ? std::move(library) : std::move(own);
  }
  const double own_time = milliseconds_of(*own, desc, *target.timer);
  const bool library_wins = milliseconds_of(*library, desc, *target.timer) < own_time;
  // An empty object in UBJSON: there is nothing to keep but the name.
  if (target.cache != nullptr)
    target.cache->keep(key, {library_wins ? kLibrary : kOwn, {'{', '}'}});
  return library_wins ? std::move(library) : std::move(own);
}

}  // namespace

std::unique_ptr<Conv2d> make_cudnn_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return std::make_unique<CudnnConv2d>(ctx, desc);
}

}  // namespace cuda

// Depthwise convolutions are ours, the others cuDNN's; with a timer the faster one has them.
std::unique_ptr<Conv2d> cuda::make_conv2d(Context& ctx, const Conv2dDesc& desc) {
  checks::conv2d(ctx, desc);
  if (!depthwise_can_run(desc)) return make_cudnn_conv2d(ctx, desc);
  const CudnnTarget target = cudnn_target_of(ctx);
  if (target.timer == nullptr) return make_depthwise_conv2d(ctx, desc);
  return faster_conv2d(ctx, desc, target);
}

}  // namespace lamina
