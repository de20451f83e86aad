// SPDX-License-Identifier: Apache-2.0
#include "kernels/ema.h"

#include "kernels/checks.h"
#include "kernels/cpu/slab.h"

namespace lamina::cpu {

void ema_step(
    Context& ctx, double decay, const Tensor& w_, const Tensor& ema_, const Tensor& copy_) {
  checks::ema_step(ctx, decay, w_, ema_, copy_);
  const float* const w = w_.as<float>();
  float* const ema = ema_.as<float>();
  const auto share = static_cast<float>(1.0 - decay);
  visit_storage(copy_ ? copy_.dtype : DType::f32, [&]<class T>(T) {
    T* const copy = elements_of<T>(copy_);
    walk_slab(ctx, w_.numel(), [=](const auto& in, const auto& out) {
      const Vec before = in(ema);
      const Vec after = before + share * (in(w)-before);
      out(ema, after);
      if (copy != nullptr) out(copy, after);
    });
  });
}

}  // namespace lamina::cpu
