// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/host_values.h"

namespace lamina {
namespace {

template <class T>
std::vector<T> read_as(Context& ctx, const Tensor& from) {
  std::vector<T> values(static_cast<std::size_t>(from.numel()));
  ctx.copy_out(values.data(), from.data, from.bytes());
  return values;
}

template <class T>
std::vector<float> widened(const std::vector<T>& values) {
  std::vector<float> wide;
  wide.reserve(values.size());
  for (const T& value : values) wide.push_back(to_float(value));
  return wide;
}

template <class T, class Round>
void write_as(Context& ctx, std::span<const float> values, const Tensor& to, Round round) {
  std::vector<T> narrow;
  narrow.reserve(values.size());
  for (float value : values) narrow.push_back(round(value));
  ctx.copy_in(to.data, narrow.data(), to.bytes());
}

}  // namespace

std::vector<float> read_values(Context& ctx, const Tensor& from) {
  switch (from.dtype) {
    case DType::f32:
      return read_as<float>(ctx, from);
    case DType::bf16:
      return widened(read_as<bf16>(ctx, from));
    case DType::f16:
      return widened(read_as<f16>(ctx, from));
    default:
      fail("a {} tensor cannot be read as floats.", name_of(from.dtype));
  }
}

void write_values(Context& ctx, std::span<const float> values, const Tensor& to) {
  LAMINA_CHECK(static_cast<std::int64_t>(values.size()) == to.numel(),
               "{} values were given for a tensor of {}.",
               values.size(),
               to.numel());
  switch (to.dtype) {
    case DType::f32:
      return ctx.copy_in(to.data, values.data(), to.bytes());
    case DType::bf16:
      return write_as<bf16>(ctx, values, to, to_bf16);
    case DType::f16:
      return write_as<f16>(ctx, values, to, to_f16);
    default:
      fail("floats cannot be written to a {} tensor.", name_of(to.dtype));
  }
}

}  // namespace lamina
