// SPDX-License-Identifier: Apache-2.0
#include "kernels/check_args.h"

#include <functional>

namespace lamina::checks {
namespace {

std::string text_of(const Tensor& t) {
  return fmt::format("{} {}", name_of(t.dtype), t.shape.to_string());
}

// From the first element to behind the last.
std::size_t extent(const Tensor& t) {
  const std::int64_t elements = (t.rows() - 1) * t.row() + t.shape.c;
  return static_cast<std::size_t>(elements) * size_of(t.dtype);
}

bool overlap(const Tensor& a, const Tensor& b) {
  const auto* const a0 = static_cast<const std::byte*>(a.data);
  const auto* const b0 = static_cast<const std::byte*>(b.data);
  const std::less_equal<const std::byte*> before;
  if (before(a0 + extent(a), b0) || before(b0 + extent(b), a0)) return false;
  if (a.row() != b.row() || a.dtype != b.dtype) return true;
  // Slices of one map: the channels they start at, seen from a.
  const std::int64_t row = a.row(),
                     distance = (b0 - a0) / static_cast<std::ptrdiff_t>(size_of(a.dtype));
  const std::int64_t first = (distance % row + row) % row;
  return first < a.shape.c || first + b.shape.c > row;
}

bool same_dims(const Shape& a, const Shape& b) {
  return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
}

}  // namespace

bool takes(BackendKind backend, DType dtype) {
  switch (backend) {
    case BackendKind::ref:
      return dtype == DType::f32 || dtype == DType::f64;
    case BackendKind::cpu:
      return dtype == DType::f32 || dtype == DType::bf16;
    case BackendKind::cuda:
      return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16;
  }
  return false;
}

void present(std::string_view op, const Arg& a) {
  LAMINA_CHECK(a.t.data != nullptr, "{}: {} has no data; this call needs it.", op, a.name);
  LAMINA_CHECK(a.t.shape.n > 0 && a.t.shape.h > 0 && a.t.shape.w > 0 && a.t.shape.c > 0,
               "{}: {} is {}; every dimension must be at least 1.",
               op,
               a.name,
               text_of(a.t));
  if (!a.t.is_slice()) return;
  LAMINA_CHECK(a.slice,
               "{}: {} is a slice of a map of {} channels; this op takes dense tensors only.",
               op,
               a.name,
               a.t.pitch);
  LAMINA_CHECK(a.t.shape.c <= a.t.pitch && a.t.shape.c % kSliceChannels == 0 &&
                   a.t.pitch % kSliceChannels == 0,
               "{}: {} is a slice of {} of {} channels; both must be multiples of {}.",
               op,
               a.name,
               a.t.shape.c,
               a.t.pitch,
               kSliceChannels);
}

void real(const Context& ctx, std::string_view op, const Arg& a) {
  present(op, a);
  LAMINA_CHECK(takes(ctx.backend(), a.t.dtype),
               "{}: {} is {}, a dtype the {} backend does not compute in; use f32.",
               op,
               a.name,
               text_of(a.t),
               name_of(ctx.backend()));
}

void dims(std::string_view op, const Arg& a, DType dtype, const Shape& shape) {
  present(op, a);
  LAMINA_CHECK(a.t.dtype == dtype && same_dims(a.t.shape, shape),
               "{}: {} is {} but must be {} {}.",
               op,
               a.name,
               text_of(a.t),
               name_of(dtype),
               shape.to_string());
}

void like(std::string_view op, const Arg& a, const Arg& model) {
  present(op, a);
  LAMINA_CHECK(a.t.dtype == model.t.dtype && same_dims(a.t.shape, model.t.shape),
               "{}: {} is {} but must be like {}, which is {}.",
               op,
               a.name,
               text_of(a.t),
               model.name,
               text_of(model.t));
}

void matrix(std::string_view op, const Arg& a, DType dtype, std::int64_t n, std::int64_t columns) {
  present(op, a);
  LAMINA_CHECK(
      a.t.dtype == dtype && a.t.shape.n == n && a.t.shape.per_sample() == columns,
      "{}: {} is {}, {} samples of {} elements, but must be {} with {} samples of {} elements.",
      op,
      a.name,
      text_of(a.t),
      a.t.shape.n,
      a.t.shape.per_sample(),
      name_of(dtype),
      n,
      columns);
}

void vector(std::string_view op, const Arg& a, DType dtype, std::int64_t count) {
  present(op, a);
  LAMINA_CHECK(a.t.dtype == dtype && a.t.numel() == count,
               "{}: {} is {} but must be {} with {} elements.",
               op,
               a.name,
               text_of(a.t),
               name_of(dtype),
               count);
}

void apart(std::string_view op, const Arg& a, const Arg& b) {
  if (!a.t || !b.t) return;
  LAMINA_CHECK(
      !overlap(a.t, b.t), "{}: {} and {} share memory; give each its own.", op, a.name, b.name);
}

void same_or_apart(std::string_view op, const Arg& a, const Arg& b) {
  if (a.t.data != b.t.data || a.t.pitch != b.t.pitch) apart(op, a, b);
}

void has_state(std::string_view op, const StepState* state) {
  LAMINA_CHECK(state != nullptr, "{}: the step state has no data; this call needs it.", op);
}

}  // namespace lamina::checks
