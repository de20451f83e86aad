// Fully connected layers on our own matrix product: its blocks fit small layers, and the weights
// need no layout of their own but in the forward pass, where they are transposed.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/cpu/pointwise.h"
#include "kernels/cpu/vec_lanes.h"
#include "kernels/cpu/vec_math.h"

namespace lamina::cpu {
namespace {

class DirectLinear final : public Linear {
 public:
  DirectLinear(Context& ctx, const LinearDesc& desc) : ctx_(ctx), desc_(desc) {}

  // The transposed weights.
  std::size_t workspace_bytes() const override {
    return static_cast<std::size_t>(desc_.in * k_wide()) * sizeof(float);
  }

  std::string describe() const override { return "direct"; }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::linear_forward(desc_, x, w, b, y);
    float* const transposed = static_cast<float*>(workspace);
    transpose_weights(w.as<float>(), transposed);
    const Gemm gemm{.m = desc_.n,
                    .j = desc_.k,
                    .l = desc_.in,
                    .a = x.as<float>(),
                    .a_m = desc_.in,
                    .a_l = 1,
                    .b = transposed,
                    .b_l = k_wide(),
                    .bias = desc_.bias ? b.as<float>() : nullptr,
                    .c = y.as<float>()};
    gemm.run(ctx_);
    if (desc_.act == Act::none) return;
    visit_act(desc_.act, [&](auto a) {
      pointwise(
          ctx_,
          desc_.n * desc_.k,
          [a](const Vec& v) { return a.forward(v); },
          y.as<float>(),
          static_cast<const float*>(y.as<float>()));
    });
  }

  void backward_data(const Tensor& dy, const Tensor& w, const Tensor& dx, void*) override {
    checks::linear_backward_data(desc_, dy, w, dx);
    const Gemm gemm{.m = desc_.n,
                    .j = desc_.in,
                    .l = desc_.k,
                    .a = dy.as<float>(),
                    .a_m = desc_.k,
                    .a_l = 1,
                    .b = w.as<float>(),
                    .b_l = desc_.in,
                    .c = dx.as<float>()};
    gemm.run(ctx_);
  }

  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void*) override {
    checks::linear_backward_weights(desc_, x, y, dy, dw, db);
    if (desc_.act != Act::none) act_backward(ctx_, desc_.act, y, dy, dy);
    const Gemm gemm{.m = desc_.k,
                    .j = desc_.in,
                    .l = desc_.n,
                    .a = dy.as<float>(),
                    .a_m = 1,
                    .a_l = desc_.k,
                    .b = x.as<float>(),
                    .b_l = desc_.in,
                    .c = dw.as<float>()};
    gemm.run(ctx_);
    if (db) sum_rows(desc_, dy, db);
  }

 private:
  std::int64_t k_wide() const { return round_up(desc_.k); }

  // transposed[i][k] = w[k][i], rows of whole vectors.
  void transpose_weights(const float* w, float* transposed) const {
    const std::int64_t blocks = k_wide() / kLanes;
    parallel_for(ctx_, blocks, 1 + 4096 / desc_.in, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Tile filters{std::min(kLanes, desc_.k - i * kLanes), desc_.in};
        gather_lanes(
            filters, w + i * kLanes * desc_.in, desc_.in, transposed + i * kLanes, k_wide());
      }
    });
  }

  Context& ctx_;
  LinearDesc desc_;
};

}  // namespace

void sum_rows(const LinearDesc& desc, const Tensor& dy, const Tensor& db) {
  visit_storage(dy.dtype, [&]<class T>(T) {
    const T* const from = dy.as<T>();
    for (std::int64_t k = 0; k < desc.k; k += kLanes) {
      const std::int64_t count = std::min(kLanes, desc.k - k);
      Vec sum{};
      for (std::int64_t n = 0; n < desc.n; ++n) sum += load_some(from + n * desc.k + k, count);
      store_some(db.as<T>() + k, sum, count);
    }
  });
}

std::unique_ptr<Linear> make_direct_linear(Context& ctx, const LinearDesc& desc) {
  return std::make_unique<DirectLinear>(ctx, desc);
}

}  // namespace lamina::cpu
