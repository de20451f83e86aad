// The pieces that the checks of kernels/checks.cpp are made of: each looks at one argument, or at
// two together, and throws a request error that names them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "engine/core/context.h"
#include "engine/core/step_state.h"
#include "engine/core/tensor.h"

namespace lamina::checks {

// A tensor with the name it has in the contract.
struct Arg {
  const char* name;
  const Tensor& t;
  bool slice = false;  // the contract takes slices of channels
};
inline constexpr bool kSlice = true;

// Has data and no dimension of zero, and is dense or a slice where one is taken.
void present(std::string_view op, const Arg& a);

// A tensor to compute on: present, and of a dtype this backend takes.
void real(const Context& ctx, std::string_view op, const Arg& a);

// Exactly this dtype and these dimensions.
void dims(std::string_view op, const Arg& a, DType dtype, const Shape& shape);

// The dtype and the dimensions of `model`.
void like(std::string_view op, const Arg& a, const Arg& model);

// [n, columns] in whatever dimensions.
void matrix(std::string_view op, const Arg& a, DType dtype, std::int64_t n, std::int64_t columns);

// `count` elements in whatever dimensions.
void vector(std::string_view op, const Arg& a, DType dtype, std::int64_t count);

// An output may not share memory with an input.
void apart(std::string_view op, const Arg& a, const Arg& b);

// In place is allowed, a partial overlap is not.
void same_or_apart(std::string_view op, const Arg& a, const Arg& b);

void has_state(std::string_view op, const StepState* state);

}  // namespace lamina::checks
