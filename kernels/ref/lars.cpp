// LARS, tensor by tensor, in f64. Contract: kernels/lars.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/lars.h"

#include <cmath>

#include "kernels/checks.h"

namespace lamina {

void ref::lars_step(Context& ctx,
                    const LarsOpts& opts,
                    const StepState* state,
                    const Tensor& w,
                    const Tensor& dw,
                    const Tensor& m,
                    const Tensor& copy,
                    const Tensor& spans,
                    const Tensor& norms) {
  checks::lars_step(ctx, opts, state, w, dw, m, copy, spans, norms);
  if (state->overflowed()) return;
  visit_real(w.dtype, "lars_step", [&]<class T>(T) {
    const double lr = state->lr;
    const double factor = static_cast<double>(state->clip) / static_cast<double>(state->loss_scale);
    for (std::int64_t t = 0; t < spans.numel() / 2; ++t) {
      const std::int64_t begin = spans.as<std::int64_t>()[2 * t];
      const std::int64_t end = begin + spans.as<std::int64_t>()[2 * t + 1];
      double w2 = 0, g2 = 0;
      for (std::int64_t i = begin; i < end; ++i) {
        const double weight = w.as<T>()[i], g = dw.as<T>()[i] * factor;
        w2 += weight * weight;
        g2 += g * g;
      }
      norms.as<double>()[2 * t] = w2;
      norms.as<double>()[2 * t + 1] = g2;
      const double rate = lars_rate(opts, w2, g2);
      for (std::int64_t i = begin; i < end; ++i) {
        const double weight = w.as<T>()[i];
        const double g = dw.as<T>()[i] * factor + opts.weight_decay * weight;
        const double velocity = opts.momentum * m.as<T>()[i] + rate * g;
        m.as<T>()[i] = static_cast<T>(velocity);
        w.as<T>()[i] = static_cast<T>(weight - lr * velocity);
        if (copy) copy.as<T>()[i] = w.as<T>()[i];
      }
    }
  });
}

}  // namespace lamina
