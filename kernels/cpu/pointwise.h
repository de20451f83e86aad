// y[i] = f(x[i]...) over the threads of a context, and what is made of it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/core/parallel.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {

// Floats a thread should have at least: below that, waking it costs more than it saves.
inline constexpr std::int64_t kPointwiseGrain = 8192;

// y may be one of the x.
template <class F, class Out, class... In>
void pointwise(const Context& ctx, std::int64_t count, const F& f, Out* y, const In*... x) {
  parallel_for(ctx, count, kPointwiseGrain, [&](std::int64_t begin, std::int64_t end) {
    map_range(begin, end, f, y, x...);
  });
}

// y[i] = x[i] in the other type of storage.
template <class In, class Out>
void convert(const Context& ctx, std::int64_t count, const In* x, Out* y) {
  pointwise(
      ctx, count, [](const Vec& v) { return v; }, y, x);
}

}  // namespace lamina::cpu
