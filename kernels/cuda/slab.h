// Slabs of parameters in kernels: f32 weights, gradients of one type and, where there is one, the
// weights' copy of another.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/core/tensor.h"
#include "kernels/cuda/language.h"
#include "kernels/cuda/visit.h"

namespace lamina::cuda {

template <class G, class C>
struct Slab {
  float* w;
  const G* dw;
  C* copy;
  std::int64_t count;

  LAMINA_DEVICE void store(std::int64_t i, float weight) const {
    w[i] = weight;
    if (copy != nullptr) copy[i] = from_f32<C>(weight);
  }
};

// Calls body(slab). The copy is of the gradients' type, or these are f32: sums of several batches.
template <class Body>
void visit_slab(
    const Tensor& w, const Tensor& dw, const Tensor& copy, std::string_view op, const Body& body) {
  const auto run = [&]<class G, class C>(G, C) {
    body(Slab<G, C>{w.as<float>(), dw.as<G>(), copy ? copy.as<C>() : nullptr, w.numel()});
  };
  if (copy && dw.dtype == DType::f32) {
    visit_compute(copy.dtype, op, [&]<class C>(C c) { run(float{}, c); });
  } else {
    visit_compute(dw.dtype, op, [&]<class G>(G g) { run(g, g); });
  }
}

}  // namespace lamina::cuda
