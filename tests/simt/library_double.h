// The double of an op that is a library's on CUDA (cuDNN, cuBLASLt): the reference, in f32 between
// roundings to the dtype of the tensors. It is launched and recorded as a kernel would be.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <memory>
#include <string>

#include "kernels/context.h"
#include "tests/simt/device.h"
#include "tests/simt/f32_copy.h"

namespace lamina::simt {

// Plan is Conv2d or Linear, Checks the three checks of its tensors.
template <class Plan, class Desc, class Checks>
class LibraryDouble final : public Plan {
 public:
  LibraryDouble(Context& ctx, const Desc& desc, std::unique_ptr<Plan> ref)
      : device_(device_of(ctx)), desc_(desc), ref_(std::move(ref)) {}

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
      ref_->forward(xs.tensor(), ws.tensor(), bs.tensor(), ys.tensor(), nullptr);
      ys.store();
    });
  }

  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    Checks::backward_data(desc_, dy, w, dx);
    submit(workspace, [this, dy, w, dx] {
      F32Copy dys = F32Copy::of(dy), ws = F32Copy::of(w), dxs(dx);
      ref_->backward_data(dys.tensor(), ws.tensor(), dxs.tensor(), nullptr);
      dxs.store();
    });
  }

  void backward_weights(const Tensor& x,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    Checks::backward_weights(desc_, x, dy, dw, db);
    submit(workspace, [this, x, dy, dw, db] {
      F32Copy xs = F32Copy::of(x), dys = F32Copy::of(dy), dws(dw), dbs(db);
      ref_->backward_weights(xs.tensor(), dys.tensor(), dws.tensor(), dbs.tensor(), nullptr);
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

  SimtDevice& device_;
  Desc desc_;
  std::unique_ptr<Plan> ref_;
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
  Context ref = ref_context();
  return std::make_unique<LibraryDouble<Plan, Desc, Checks>>(ctx, asked, make(ref, desc));
}

}  // namespace lamina::simt
