// Fully connected layers of bf16 tensors: on oneDNN where the machine multiplies bf16, else by the
// kernels for f32.
//
// As in linear_dnnl.cpp, results are cut into columns by the shape alone, each of which is one
// thread's.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/dnnl_call.h"
#include "kernels/cpu/fused_act.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/cpu/widened.h"

namespace lamina::cpu {
namespace {

using dnnl::memory;
using Dims = memory::dims;

constexpr auto kBf16 = memory::data_type::bf16;

// A matrix product in parts of so many columns of the result.
class ColumnProducts {
 public:
  ColumnProducts() = default;
  // make(count) plans the product of `count` columns for one thread.
  ColumnProducts(Context& ctx,
                 std::int64_t columns,
                 std::int64_t width,
                 const std::function<DnnlCall(std::int64_t)>& make)
      : ctx_(&ctx), columns_(columns), width_(std::min(width, columns)) {
    const OneThread one;
    const std::int64_t parts = (columns_ + width_ - 1) / width_, odd = columns_ % width_;
    workers_.resize(static_cast<std::size_t>(std::min<std::int64_t>(ctx.threads(), parts)));
    for (Worker& worker : workers_) {
      worker.stream = dnnl::stream(device_of(ctx).engine());
      worker.usual = make(width_);
      if (odd > 0) worker.last = make(odd);
      call_bytes_ =
          std::max({call_bytes_, worker.usual.workspace_bytes(), worker.last.workspace_bytes()});
    }
  }

  std::size_t workspace_bytes() const { return workers_.size() * call_bytes_; }

  // run_part(call, stream, first column, workspace)
  template <class RunPart>
  void run(void* workspace, const RunPart& run_part) {
    const OneThread one;
    parallel_for(*ctx_, columns_, width_, [&](std::int64_t begin, std::int64_t end) {
      const auto thread = static_cast<std::size_t>(omp_get_thread_num());
      Worker& worker = workers_[thread];
      for (std::int64_t first = begin; first < end; first += width_) {
        DnnlCall& call = first + width_ <= columns_ ? worker.usual : worker.last;
        run_part(
            call, worker.stream, first, static_cast<std::byte*>(workspace) + thread * call_bytes_);
      }
    });
  }

 private:
  struct Worker {
    dnnl::stream stream;
    DnnlCall usual, last;
  };

  Context* ctx_ = nullptr;
  std::int64_t columns_ = 0, width_ = 0;
  std::size_t call_bytes_ = 0;
  std::vector<Worker> workers_;  // one for each thread
};

class Bf16Linear final : public Linear {
 public:
  Bf16Linear(Context& ctx, const LinearDesc& desc) : ctx_(ctx), desc_(desc) {
    dnnl_checked(name(), [&] { plan(); });
  }

  std::size_t workspace_bytes() const override {
    return std::max(
        {forward_.workspace_bytes(), data_.workspace_bytes(), weights_.workspace_bytes()});
  }
  std::string describe() const override { return "oneDNN matmul"; }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::linear_forward(desc_, x, w, b, y);
    const bf16* const ws = w.as<bf16>();
    const bf16* const bs = elements_of<bf16>(b);
    bf16* const ys = y.as<bf16>();
    dnnl_checked(name(), [&] {
      forward_.run(workspace, [&](DnnlCall& call, auto& stream, std::int64_t k, void* own) {
        if (desc_.bias)
          call.run(stream, {x.data, ws + k * desc_.in, bs + k, ys + k}, own);
        else
          call.run(stream, {x.data, ws + k * desc_.in, ys + k}, own);
      });
    });
    apply_unfused(ctx_, desc_.act, y);
  }

  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    checks::linear_backward_data(desc_, dy, w, dx);
    const bf16* const ws = w.as<bf16>();
    bf16* const dxs = dx.as<bf16>();
    dnnl_checked(name(), [&] {
      data_.run(workspace, [&](DnnlCall& call, auto& stream, std::int64_t i, void* own) {
        call.run(stream, {dy.data, ws + i, dxs + i}, own);
      });
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
    const bf16* const xs = x.as<bf16>();
    bf16* const dws = dw.as<bf16>();
    dnnl_checked(name(), [&] {
      weights_.run(workspace, [&](DnnlCall& call, auto& stream, std::int64_t i, void* own) {
        call.run(stream, {dy.data, xs + i, dws + i}, own);
      });
    });
    if (db) sum_rows(desc_, dy, db);
  }

 private:
  std::string name() const { return fmt::format("linear layer of {} to {}", desc_.in, desc_.k); }

  // A matrix inside a larger one.
  static memory::desc matrix(std::int64_t rows,
                             std::int64_t columns,
                             std::int64_t row_step,
                             std::int64_t column_step) {
    return {Dims{rows, columns}, kBf16, Dims{row_step, column_step}};
  }

  DnnlCall product(const memory::desc& a,
                   const memory::desc& b,
                   const memory::desc& c,
                   std::int64_t bias,
                   Act act) const {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    fuse(act, attr);
    const auto& engine = device_of(ctx_).engine();
    const memory::desc biases = bias > 0 ? matrix(1, bias, bias, 1) : memory::desc();
    const auto pd = forward_pd<dnnl::matmul>(engine, attr, a, b, biases, c);
    std::vector<DnnlCall::Operand> inputs{{DNNL_ARG_SRC, a, a}, {DNNL_ARG_WEIGHTS, b, b}};
    if (bias > 0) inputs.push_back({DNNL_ARG_BIAS, biases, biases});
    return {engine, dnnl::matmul(pd), pd.scratchpad_desc(), inputs, {{DNNL_ARG_DST, c, c}}};
  }

  // At most so many parts, each of whole vectors.
  static std::int64_t width(std::int64_t columns, std::int64_t fewest, std::int64_t most_parts) {
    return std::max(fewest, round_up((columns + most_parts - 1) / most_parts, 64));
  }

  void plan() {
    const std::int64_t n = desc_.n, in = desc_.in, k = desc_.k;
    forward_ = {ctx_, k, width(k, 64, 16), [&](std::int64_t count) {
                  return product(matrix(n, in, in, 1),
                                 matrix(in, count, 1, in),
                                 matrix(n, count, k, 1),
                                 desc_.bias ? count : 0,
                                 desc_.act);
                }};
    if (desc_.backward_data)
      data_ = {
          ctx_, in, width(in, 256, 8), [&](std::int64_t count) {
            return product(
                matrix(n, k, k, 1), matrix(k, count, in, 1), matrix(n, count, in, 1), 0, Act::none);
          }};
    // Narrow, because oneDNN keeps the sums of a part in f32.
    if (desc_.backward_weights)
      weights_ = {
          ctx_, in, 256, [&](std::int64_t count) {
            return product(
                matrix(k, n, 1, k), matrix(n, count, in, 1), matrix(k, count, in, 1), 0, Act::none);
          }};
  }

  Context& ctx_;
  LinearDesc desc_;
  ColumnProducts forward_, data_, weights_;
};

LinearDesc in_f32(LinearDesc desc) {
  desc.dtype = DType::f32;
  return desc;
}

class WidenedLinear final : public Linear {
 public:
  WidenedLinear(Context& ctx, const LinearDesc& desc)
      : desc_(desc),
        passes_(
            ctx,
            {desc.n * desc.in, desc.k * desc.in, desc.bias ? desc.k : 0, desc.n * desc.k, desc.act},
            make_linear(ctx, in_f32(desc))) {}

  std::size_t workspace_bytes() const override { return passes_.workspace_bytes(); }
  std::string describe() const override { return passes_.plan().describe() + " in f32"; }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::linear_forward(desc_, x, w, b, y);
    passes_.forward(x, w, b, y, workspace);
  }
  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    checks::linear_backward_data(desc_, dy, w, dx);
    passes_.backward_data(dy, w, dx, workspace);
  }
  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    checks::linear_backward_weights(desc_, x, y, dy, dw, db);
    passes_.backward_weights(x, y, dy, dw, db, workspace);
  }

 private:
  LinearDesc desc_;
  WidenedPasses<Linear> passes_;
};

}  // namespace

std::unique_ptr<Linear> make_bf16_linear(Context& ctx, const LinearDesc& desc) {
  return std::make_unique<Bf16Linear>(ctx, desc);
}
std::unique_ptr<Linear> make_widened_linear(Context& ctx, const LinearDesc& desc) {
  return std::make_unique<WidenedLinear>(ctx, desc);
}

}  // namespace lamina::cpu
