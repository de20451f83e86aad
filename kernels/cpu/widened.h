// A convolution or linear layer of bf16 tensors by a plan for f32: what it reads is widened into
// the workspace, and what it writes rounded from there. For machines that do not multiply bf16, and
// for shapes that oneDNN is slow at.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "kernels/activation.h"
#include "kernels/cpu/pointwise.h"

namespace lamina::cpu {

// Elements of the operands, and the activation.
struct WidenedDesc {
  std::int64_t x = 0, w = 0, b = 0, y = 0;
  Act act = Act::none;
};

// Plan: Conv2d or Linear, whose passes take the same operands.
template <class Plan>
class WidenedPasses {
 public:
  WidenedPasses(Context& ctx, const WidenedDesc& desc, std::unique_ptr<Plan> plan)
      : ctx_(ctx), desc_(desc), plan_(std::move(plan)) {}

  const Plan& plan() const { return *plan_; }
  std::size_t workspace_bytes() const {
    const std::int64_t floats = slot(desc_.x) + slot(desc_.w) + slot(desc_.b) +
                                (desc_.act == Act::none ? 1 : 2) * slot(desc_.y);
    return inner_bytes() + static_cast<std::size_t>(floats) * sizeof(float);
  }

  void forward(
      const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y, void* workspace) {
    Slots slots = slots_of(workspace);
    const Tensor wide_y = in(y, slots.y);
    plan_->forward(
        widened(x, slots.x), widened(w, slots.w), widened(b, slots.b), wide_y, workspace);
    round(wide_y, y);
  }
  void backward_data(const Tensor& dy, const Tensor& w, const Tensor& dx, void* workspace) {
    Slots slots = slots_of(workspace);
    const Tensor wide_dx = in(dx, slots.x);
    plan_->backward_data(widened(dy, slots.y), widened(w, slots.w), wide_dx, workspace);
    round(wide_dx, dx);
  }
  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) {
    Slots slots = slots_of(workspace);
    const bool through = desc_.act != Act::none;
    const Tensor wide_dy = widened(dy, slots.y), wide_dw = in(dw, slots.w),
                 wide_db = in(db, slots.b);
    plan_->backward_weights(widened(x, slots.x),
                            through ? widened(y, slots.y + slot(desc_.y)) : Tensor{},
                            wide_dy,
                            wide_dw,
                            wide_db,
                            workspace);
    round(wide_dw, dw);
    round(wide_db, db);
    if (through) round(wide_dy, dy);
  }

 private:
  // In the workspace, behind the plan's part. y is that of dy, with room for both behind it.
  struct Slots {
    float *x, *w, *b, *y;
  };
  static std::int64_t slot(std::int64_t elements) { return round_up(elements, 16); }
  std::size_t inner_bytes() const { return (plan_->workspace_bytes() + 63) / 64 * 64; }
  Slots slots_of(void* workspace) const {
    auto* const x = reinterpret_cast<float*>(static_cast<std::byte*>(workspace) + inner_bytes());
    float* const w = x + slot(desc_.x);
    float* const b = w + slot(desc_.w);
    return {x, w, b, b + slot(desc_.b)};
  }

  static Tensor in(const Tensor& t, float* memory) {
    return t ? Tensor{memory, DType::f32, t.shape} : Tensor{};
  }
  Tensor widened(const Tensor& t, float* memory) const {
    const Tensor wide = in(t, memory);
    if (wide) convert(ctx_, t.numel(), t.as<bf16>(), memory);
    return wide;
  }
  void round(const Tensor& wide, const Tensor& t) const {
    if (t) convert(ctx_, t.numel(), wide.as<float>(), t.as<bf16>());
  }

  Context& ctx_;
  WidenedDesc desc_;
  std::unique_ptr<Plan> plan_;
};

}  // namespace lamina::cpu
