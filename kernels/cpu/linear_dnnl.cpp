// Fully connected layers on oneDNN: its matrix product, and its inner product for the weights.
//
// Left to itself, oneDNN splits the terms of a sum over the threads where there are few results.
// So results are cut into columns by the shape alone, each product of which is one thread's. The
// gradient of the weights is left to it where its inner product does no such thing.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/dnnl_call.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/cpu/vec_math.h"

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

  void forward(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y, void*) override {
    checks::linear_forward(desc_, x, w, b, y);
    const std::int64_t in = desc_.in, k = desc_.k;
    for_columns(k, 64, 16, [&](std::int64_t first, std::int64_t count) {
      multiply(
          'N',
          'T',
          {.rows = desc_.n, .k = in, .columns = count, .a_pitch = in, .b_pitch = in, .c_pitch = k},
          x.as<float>(),
          w.as<float>() + first * in,
          y.as<float>() + first);
      const float* const bias = desc_.bias ? b.as<float>() + first : nullptr;
      finish(bias, y.as<float>() + first, count);
    });
  }

  void backward_data(const Tensor& dy, const Tensor& w, const Tensor& dx, void*) override {
    checks::linear_backward_data(desc_, dy, w, dx);
    const std::int64_t in = desc_.in, k = desc_.k;
    // Parts of the rows of w, which are read in longer runs.
    for_columns(in, 256, 8, [&](std::int64_t first, std::int64_t count) {
      multiply(
          'N',
          'N',
          {.rows = desc_.n, .k = k, .columns = count, .a_pitch = k, .b_pitch = in, .c_pitch = in},
          dy.as<float>(),
          w.as<float>() + first,
          dx.as<float>() + first);
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
    if (!backward_weights_.planned()) {
      const std::int64_t in = desc_.in, k = desc_.k;
      for_columns(in, 256, 8, [&](std::int64_t first, std::int64_t count) {
        multiply(
            'T',
            'N',
            {.rows = k, .k = desc_.n, .columns = count, .a_pitch = k, .b_pitch = in, .c_pitch = in},
            dy.as<float>(),
            x.as<float>() + first,
            dw.as<float>() + first);
      });
      if (db) sum_rows(desc_, dy, db);
      return;
    }
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

  // Calls body(first, count) for parts of so many columns, over the threads.
  template <class Body>
  void for_columns(std::int64_t columns,
                   std::int64_t fewest,
                   std::int64_t most_parts,
                   const Body& body) const {
    const std::int64_t even = (columns + most_parts - 1) / most_parts;
    const std::int64_t width = std::max(fewest, (even + kLanes - 1) / kLanes * kLanes);
    const OneThread one;
    parallel_for(ctx_, columns, width, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t first = begin; first < end; first += width)
        body(first, std::min(width, end - first));
    });
  }

  // c [rows][columns] = a [rows][k] times b [k][columns]; 'T': a or b lies transposed.
  struct Product {
    std::int64_t rows, k, columns, a_pitch, b_pitch, c_pitch;
  };
  static void multiply(
      char trans_a, char trans_b, const Product& p, const float* a, const float* b, float* c) {
    const dnnl::status status = dnnl::sgemm(
        trans_a, trans_b, p.rows, p.columns, p.k, 1, a, p.a_pitch, b, p.b_pitch, 0, c, p.c_pitch);
    // It has nothing to refuse in checked arguments, and no thread may throw here.
    if (status != dnnl::status::success) std::terminate();
  }

  // y = act(y + bias) for some columns.
  void finish(const float* bias, float* y, std::int64_t count) const {
    if (bias == nullptr && desc_.act == Act::none) return;
    const auto each = [&](const auto& act) {
      for (std::int64_t n = 0; n < desc_.n; ++n) {
        float* const row = y + n * desc_.k;
        if (bias != nullptr)
          map_range(
              0, count, [&](const Vec& v, const Vec& w) { return act(v + w); }, row, row, bias);
        else
          map_range(0, count, act, row, row);
      }
    };
    if (desc_.act == Act::none)
      each([](const Vec& v) { return v; });
    else
      visit_act(desc_.act, [&](auto a) { each([a](const Vec& v) { return a.forward(v); }); });
  }

  // The weights stay in our layout: oneDNN would rather have them in blocks, but copying them there
  // and back takes more time than its products gain, and as much memory again.
  void plan() {
    const memory::desc x({desc_.n, desc_.in}, kF32, Tag::ab), w({desc_.k, desc_.in}, kF32, Tag::ab),
        y({desc_.n, desc_.k}, kF32, Tag::ab);
    const memory::desc bias = desc_.bias ? memory::desc({desc_.k}, kF32, Tag::x) : memory::desc();
    const auto& engine = device_.engine();
    description_ = "oneDNN sgemm";
    if (desc_.backward_weights) {
      dnnl::primitive_attr attr;
      attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
      const auto hint = forward_pd<dnnl::inner_product_forward>(
          engine, attr, dnnl::prop_kind::forward_training, x, w, bias, y);
      const auto pd =
          backward_pd<dnnl::inner_product_backward_weights>(engine, attr, hint, x, w, bias, y);
      if (splits_sums(pd.impl_info_str())) return;
      std::vector<DnnlCall::Operand> outputs{{DNNL_ARG_DIFF_WEIGHTS, w, w}};
      if (desc_.bias) outputs.push_back({DNNL_ARG_DIFF_BIAS, bias, bias});
      backward_weights_ = {engine,
                           dnnl::inner_product_backward_weights(pd),
                           pd.scratchpad_desc(),
                           {{DNNL_ARG_SRC, x, x}, {DNNL_ARG_DIFF_DST, y, y}},
                           outputs};
      description_ += fmt::format(", weights {}", pd.impl_info_str());
      workspace_bytes_ =
          backward_weights_.workspace_bytes() + static_cast<std::size_t>(desc_.k) * sizeof(float);
    }
  }

  Context& ctx_;
  CpuDevice& device_;
  LinearDesc desc_;
  DnnlCall backward_weights_;
  std::size_t workspace_bytes_ = 0;
  std::string description_;
};

}  // namespace

std::unique_ptr<Linear> make_dnnl_linear(Context& ctx, const LinearDesc& desc) {
  return std::make_unique<DnnlLinear>(ctx, desc);
}

}  // namespace lamina::cpu
