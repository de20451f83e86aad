// How a net computes: the dtype of its activations and of the weights it multiplies with, and the
// dtype its parameters are kept in.
//   fp32           everything f32
//   tf32           f32, factors of products rounded to 10 bits of mantissa (tensor cores)
//   bf16, fp16     16-bit activations and products, f32 sums, statistics and parameters
//   fp64           for checking
// fp32 is everywhere, bf16 on cpu and cuda, fp64 on ref alone, the others on cuda alone. On a CPU
// that does not multiply bf16 products are made in f32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/core/context.h"

namespace lamina {

enum class Precision { fp32, tf32, bf16, fp16, fp64 };

std::string_view name_of(Precision precision);
// Throws a request error that lists the names.
Precision precision_from_name(const std::string& name);
// Throws a request error when the backend does not compute like this.
void check_precision(Precision precision, BackendKind backend);

inline DType compute_dtype(Precision precision) {
  switch (precision) {
    case Precision::bf16:
      return DType::bf16;
    case Precision::fp16:
      return DType::f16;
    case Precision::fp64:
      return DType::f64;
    default:
      return DType::f32;
  }
}
inline DType parameter_dtype(Precision precision) {
  return precision == Precision::fp64 ? DType::f64 : DType::f32;
}

}  // namespace lamina
