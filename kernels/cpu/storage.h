// The types that this backend keeps its tensors in. All of it computes in f32: bf16 is widened when
// it is read and rounded when it is written (vec.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "engine/core/tensor.h"

namespace lamina::cpu {

// Calls body(T{}) with the type of the elements, which the checks have let through.
template <class Body>
void visit_storage(DType dtype, const Body& body) {
  if (dtype == DType::bf16)
    body(bf16{});
  else
    body(float{});
}

// One element, in f32 and as it is kept.
inline float widened(float value) { return value; }
inline float widened(bf16 value) { return to_float(value); }
template <class T>
T stored(float value) {
  if constexpr (std::is_same_v<T, bf16>)
    return to_bf16(value);
  else
    return value;
}

// The elements of a tensor that may be empty.
template <class T>
T* elements_of(const Tensor& t) {
  return t ? t.as<T>() : nullptr;
}

}  // namespace lamina::cpu
