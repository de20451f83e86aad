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
      body([i](const auto* p) { return load(p + i); },
           [i](auto* p, const Vec& v) { store(p + i, v); });
    const std::int64_t rest = end - i;
    if (rest > 0)
      body([i, rest](const auto* p) { return load_part(p + i, rest); },
           [i, rest](auto* p, const Vec& v) { store_part(p + i, v, rest); });
  });
}

// Calls body(dw, copy) with the gradients' elements and those of the weights' copy, which may be
// null: bf16 gradients have a bf16 copy, those in f32 either.
template <class Body>
void visit_slabs(const Tensor& dw, const Tensor& copy, const Body& body) {
  visit_storage(dw.dtype, [&]<class D>(D) {
    visit_storage(copy ? copy.dtype : dw.dtype, [&]<class C>(C) {
      if constexpr (std::is_same_v<D, float> || std::is_same_v<C, bf16>)
        body(static_cast<const D*>(dw.as<D>()), elements_of<C>(copy));
    });
  });
}

}  // namespace lamina::cpu
