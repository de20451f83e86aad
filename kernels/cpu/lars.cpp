// SPDX-License-Identifier: Apache-2.0
#include "kernels/lars.h"

#include "kernels/checks.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/slab.h"
#include "kernels/cpu/squares.h"

namespace lamina::cpu {

void lars_step(Context& ctx,
               const LarsOpts& opts,
               const StepState* state,
               const Tensor& w_,
               const Tensor& dw_,
               const Tensor& m_,
               const Tensor& copy_,
               const Tensor& spans,
               const Tensor& norms) {
  checks::lars_step(ctx, opts, state, w_, dw_, m_, copy_, spans, norms);
  if (state->overflowed()) return;
  auto* const parts =
      device_of(ctx).scratch<double>(static_cast<std::size_t>(square_parts(w_.numel())));
  const float factor = state->gradient_factor(), lr = state->lr;
  const auto decay = static_cast<float>(opts.weight_decay);
  const auto momentum = static_cast<float>(opts.momentum);
  visit_slabs(dw_, copy_, [&](const auto* gradients, auto* copies) {
    for (std::int64_t t = 0; t < spans.numel() / 2; ++t) {
      const std::int64_t first = spans.as<std::int64_t>()[2 * t];
      const std::int64_t count = spans.as<std::int64_t>()[2 * t + 1];
      float* const w = w_.as<float>() + first;
      float* const m = m_.as<float>() + first;
      const auto* const dw = gradients + first;
      auto* const copy = copies != nullptr ? copies + first : nullptr;
      double* const norm = norms.as<double>() + 2 * t;
      norm[0] = sum_of_squares(ctx, w, count, parts);
      norm[1] = sum_of_squares(ctx, dw, count, parts) * static_cast<double>(factor) * factor;
      const auto rate = static_cast<float>(lars_rate(opts, norm[0], norm[1]));
      walk_slab(ctx, count, [=](const auto& in, const auto& out) {
        const Vec weight = in(w);
        const Vec velocity = momentum * in(m) + rate * (in(dw)*factor + decay * weight);
        out(m, velocity);
        const Vec updated = weight - lr * velocity;
        out(w, updated);
        if (copy != nullptr) out(copy, updated);
      });
    }
  });
}

}  // namespace lamina::cpu
