// SPDX-License-Identifier: Apache-2.0
#include "kernels/accumulate.h"

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/pointwise.h"

namespace lamina::cpu {

void accumulate(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::accumulate(ctx, x, y);
  pointwise(
      ctx,
      x.numel(),
      [](const Vec& a, const Vec& b) { return a + b; },
      y.as<float>(),
      x.as<float>(),
      y.as<float>());
}

}  // namespace lamina::cpu
