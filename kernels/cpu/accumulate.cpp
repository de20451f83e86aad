// SPDX-License-Identifier: Apache-2.0
#include "kernels/accumulate.h"

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/pointwise.h"

namespace lamina::cpu {

void accumulate(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::accumulate(ctx, x, y);
  const float* const from = x.as<float>();
  float* const to = y.as<float>();
  const auto add = [](const Vec& a, const Vec& b) { return a + b; };
  if (y.is_slice()) {
    const std::int64_t channels = x.shape.c, row_floats = y.row();
    const std::int64_t grain = 1 + kPointwiseGrain / channels;
    parallel_for(ctx, x.rows(), grain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        float* const sum = to + row * row_floats;
        map_range(0, channels, add, sum, from + row * channels, static_cast<const float*>(sum));
      }
    });
    return;
  }
  pointwise(ctx, x.numel(), add, to, from, static_cast<const float*>(to));
}

}  // namespace lamina::cpu
