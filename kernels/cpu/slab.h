// Walking slabs of parameters and what belongs to them, a vector at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cpu/flush_denormals.h"
#include "kernels/cpu/pointwise.h"

namespace lamina::cpu {

// One pass over the slab: body(in, out) has to work on a vector, or on what is left of one;
// in(p) reads them from a tensor, out(p, v) writes them.
template <class Body>
void walk_slab(const Context& ctx, std::int64_t count, const Body& body) {
  parallel_for(ctx, count, kPointwiseGrain, [&](std::int64_t begin, std::int64_t end) {
    const FlushDenormals flush;
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes)
      body([i](const float* p) { return load(p + i); },
           [i](float* p, const Vec& v) { store(p + i, v); });
    const std::int64_t rest = end - i;
    if (rest > 0)
      body([i, rest](const float* p) { return load_part(p + i, rest); },
           [i, rest](float* p, const Vec& v) { store_part(p + i, v, rest); });
  });
}

}  // namespace lamina::cpu
