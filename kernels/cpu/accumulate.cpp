// SPDX-License-Identifier: Apache-2.0
#include "kernels/accumulate.h"

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/pointwise.h"

namespace lamina::cpu {

void accumulate(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::accumulate(ctx, x, y);
  const auto add = [](const Vec& a, const Vec& b) { return a + b; };
  visit_storage(x.dtype, [&]<class T>(T) {
    const T* const from = x.as<T>();
    T* const to = y.as<T>();
    if (!y.is_slice()) {
      pointwise(ctx, x.numel(), add, to, from, to);
      return;
    }
    const std::int64_t channels = x.shape.c, row_elements = y.row();
    const std::int64_t grain = 1 + kPointwiseGrain / channels;
    parallel_for(ctx, x.rows(), grain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        T* const sum = to + row * row_elements;
        map_range(0, channels, add, sum, from + row * channels, sum);
      }
    });
  });
}

}  // namespace lamina::cpu
