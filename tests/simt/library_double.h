// The double of an op that is a library's on CUDA (cuDNN, cuBLASLt): the reference, in f32 between
// roundings to the dtype of the tensors. It is launched and recorded as a kernel would be. What our
// own kernels do around the library they do here.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <memory>
#include <string>

#include "kernels/context.h"
#include "kernels/cuda/bias.h"
#include "tests/simt/device.h"
#include "tests/simt/f32_copy.h"

namespace lamina::simt {

// Plan is Conv2d or Linear, Checks the three checks of its tensors and whether the library gives
// the bias gradient with that of the weights where there is no activation.
template <class Plan, class Desc, class Checks>
class LibraryDouble final : public Plan {
 public:
  // forward: with bias and relu; gradients: of the product alone.
  LibraryDouble(Context& ctx,
                const Desc& desc,
                std::unique_ptr<Plan> forward,
                std::unique_ptr<Plan> gradients)
      : ctx_(ctx),
        device_(device_of(ctx)),
        desc_(desc),
        forward_(std::move(forward)),
        gradients_(std::move(gradients)) {}

  // Libraries leave garbage there; so does this, up to the last byte.
  std::size_t workspace_bytes() const override { return 1000; }
  std::string describe() const override { return "the reference, for a CUDA library"; }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    Checks::forward(desc_, x, w, b, y);
    submit(workspace, [this, x, w, b, y] {
      F32Copy xs = F32Copy::of(x), ws = F32Copy::of(w), bs = F32Copy::of(b), ys(y);
      forward_->forward(xs.tensor(), ws.tensor(), bs.tensor(), ys.tensor(), nullptr);
      ys.store();
    });
    if (desc_.act != Act::none && desc_.act != Act::relu) act_forward(ctx_, desc_.act, y, y);
  }

  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    Checks::backward_data(desc_, dy, w, dx);
    submit(workspace, [this, dy, w, dx] {
      F32Copy dys = F32Copy::of(dy), ws = F32Copy::of(w), dxs(dx);
      gradients_->backward_data(dys.tensor(), ws.tensor(), dxs.tensor(), nullptr);
      dxs.store();
    });
  }

  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    Checks::backward_weights(desc_, x, y, dy, dw, db);
    const bool by_library = Checks::sums_bias && desc_.act == Act::none;
    if (!by_library) cuda::bias_act_backward(ctx_, desc_.act, y, dy, db);
    submit(workspace, [this, x, dy, dw, sums = by_library ? db : Tensor{}] {
      F32Copy xs = F32Copy::of(x), dys = F32Copy::of(dy), dws(dw), dbs(sums);
      gradients_->backward_weights(
          xs.tensor(), {}, dys.tensor(), dws.tensor(), dbs.tensor(), nullptr);
      dws.store();
      dbs.store();
    });
  }

 private:
  template <class Work>
  void submit(void* workspace, Work work) {
    device_.submit([this, workspace, work] {
      std::memset(workspace, 0xFF, workspace_bytes());
      work();
    });
  }

  Context& ctx_;
  SimtDevice& device_;
  Desc desc_;
  std::unique_ptr<Plan> forward_, gradients_;
};

// A plan of `ref` holds no context, so one made for the moment will do. make_context() would set
// the number of OpenMP's threads besides.
inline Context ref_context() { return {BackendKind::ref, 1, ref::make_device(1)}; }

// make: the reference's maker of such plans.
template <class Checks, class Desc, class Plan>
std::unique_ptr<Plan> make_double(Context& ctx,
                                  Desc desc,
                                  std::unique_ptr<Plan> (&make)(Context&, const Desc&)) {
  const Desc asked = desc;
  desc.dtype = DType::f32;
  if (desc.act != Act::relu) desc.act = Act::none;
  Context ref = ref_context();
  std::unique_ptr<Plan> forward = make(ref, desc);
  desc.act = Act::none;
  return std::make_unique<LibraryDouble<Plan, Desc, Checks>>(
      ctx, asked, std::move(forward), make(ref, desc));
}

}  // namespace lamina::simt
