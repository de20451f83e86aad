// SPDX-License-Identifier: Apache-2.0
#include "kernels/check_args.h"

#include <functional>

namespace lamina::checks {
namespace {

std::string text_of(const Tensor& t) {
  return fmt::format("{} {}", name_of(t.dtype), t.shape.to_string());
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
      return dtype == DType::f32;
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
  const auto* const a0 = static_cast<const std::byte*>(a.t.data);
  const auto* const b0 = static_cast<const std::byte*>(b.t.data);
  const std::less_equal<const std::byte*> before;
  LAMINA_CHECK(before(a0 + a.t.bytes(), b0) || before(b0 + b.t.bytes(), a0),
               "{}: {} and {} share memory; give each its own.",
               op,
               a.name,
               b.name);
}

void same_or_apart(std::string_view op, const Arg& a, const Arg& b) {
  if (a.t.data != b.t.data) apart(op, a, b);
}

void has_state(std::string_view op, const StepState* state) {
  LAMINA_CHECK(state != nullptr, "{}: the step state has no data; this call needs it.", op);
}

}  // namespace lamina::checks
