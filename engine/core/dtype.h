// Element types of tensors, and the one place where a runtime dtype becomes a compile-time type.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "engine/core/error.h"

namespace lamina {

// bf16 and f16 are storage types on the host: arithmetic goes through float.
struct bf16 {
  std::uint16_t bits = 0;
};
struct f16 {
  std::uint16_t bits = 0;
};

// f64 and i64 serve the reference backend and counters; training runs in f32 and the 16-bit types.
enum class DType : std::uint8_t { f32, f64, bf16, f16, u8, i32, i64 };

std::size_t size_of(DType dtype);
std::string_view name_of(DType dtype);         // "f32"
DType dtype_from_name(std::string_view name);  // throws a request error that lists the names

// The dtype of statistics and losses of tensors of `dtype`: f64 for f64, else f32.
inline DType statistics_dtype(DType dtype) { return dtype == DType::f64 ? dtype : DType::f32; }

// Round to nearest even, as hardware does; NaN stays NaN, overflow becomes infinity.
bf16 to_bf16(float value);
f16 to_f16(float value);
float to_float(bf16 value);
float to_float(f16 value);

template <class T>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct dtype_of<bf16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct dtype_of<f16> {
  static constexpr DType value = DType::f16;
};
template <>
struct dtype_of<std::uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct dtype_of<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct dtype_of<std::int64_t> {
  static constexpr DType value = DType::i64;
};

// Calls `body(T{})` with the floating type the reference backend computes in.
template <class Body>
void visit_real(DType dtype, std::string_view op, Body&& body) {
  switch (dtype) {
    case DType::f32:
      body(float{});
      return;
    case DType::f64:
      body(double{});
      return;
    default:
      break;
  }
  fail_request("{}: dtype {} is not supported here; use f32 or f64.", op, name_of(dtype));
}

}  // namespace lamina
