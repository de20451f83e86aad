// The moving average of the parameters, in f64. Contract: kernels/ema.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/ema.h"

#include "kernels/checks.h"

namespace lamina {

void ref::ema_step(
    Context& ctx, double decay, const Tensor& w, const Tensor& ema, const Tensor& copy) {
  checks::ema_step(ctx, decay, w, ema, copy);
  visit_real(w.dtype, "ema_step", [&]<class T>(T) {
    for (std::int64_t i = 0; i < w.numel(); ++i) {
      const double before = ema.as<T>()[i];
      ema.as<T>()[i] = static_cast<T>(before + (1 - decay) * (w.as<T>()[i] - before));
      if (copy) copy.as<T>()[i] = ema.as<T>()[i];
    }
  });
}

}  // namespace lamina
