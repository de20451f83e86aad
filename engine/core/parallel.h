// Splitting host loops over the threads of a context (OpenMP, the runtime oneDNN uses too).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/core/context.h"

namespace lamina {

// Calls body(begin, end) on contiguous ranges that cover [0, count). Ranges start at multiples of
// `grain`, so that a result which depends on the range (a partial sum) can be made independent of
// the number of threads by giving each grain its own slot. Below two grains it stays on the caller.
template <class Body>
void parallel_for(const Context& ctx, std::int64_t count, std::int64_t grain, Body&& body) {
  const std::int64_t grains = (count + grain - 1) / grain;
  const int threads = static_cast<int>(std::min<std::int64_t>(ctx.threads(), grains));
  if (threads <= 1) {
    if (count > 0) body(std::int64_t{0}, count);
    return;
  }
#pragma omp parallel for schedule(static, 1) num_threads(threads)
  for (int t = 0; t < threads; ++t) {
    const std::int64_t begin = grains * t / threads * grain;
    const std::int64_t end = std::min(count, grains * (t + 1) / threads * grain);
    if (begin < end) body(begin, end);
  }
}

}  // namespace lamina
