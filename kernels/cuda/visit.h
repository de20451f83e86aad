// The one place of this room where a runtime dtype becomes a compile-time type.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "engine/core/dtype.h"

namespace lamina::cuda {

// Calls body(T{}) with the type that tensors of this dtype are made of.
template <class Body>
void visit_compute(DType dtype, std::string_view op, Body&& body) {
  switch (dtype) {
    case DType::f32:
      return body(float{});
    case DType::bf16:
      return body(bf16{});
    case DType::f16:
      return body(f16{});
    default:
      fail_request(
          "{}: the cuda backend computes in f32, bf16 and f16, not {}.", op, name_of(dtype));
  }
}

}  // namespace lamina::cuda
