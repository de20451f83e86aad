// SPDX-License-Identifier: Apache-2.0
#include "kernels/suite/data.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numbers>
#include <utility>

#include <fmt/format.h>

namespace lamina::suite {

std::uint64_t test_seed() {
  const char* const text = std::getenv("LAMINA_TEST_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

std::uint32_t stream_of(std::string_view name) {
  // FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/, cut to the room below the next purpose.
  std::uint32_t hash = 2166136261u;
  for (char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619u;
  return stream::kTest + (hash & 0x00FFFFFF);
}

std::string dims_of(const Shape& shape) {
  return fmt::format("{}x{}x{}x{}", shape.n, shape.h, shape.w, shape.c);
}

double Draw::next() {
  if (element_ % 4 == 0) block_ = philox(seed_, stream_, 0, element_ / 4);
  return uniform_from_bits(block_.v[element_++ % 4]);
}

Values Draw::normal(const Shape& shape, double mean, double deviation) {
  Values values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); i += 2) {
    // Box and Muller; 1 - u keeps zero away from the logarithm.
    const double radius = deviation * std::sqrt(-2 * std::log(1 - next()));
    const double angle = 2 * std::numbers::pi * next();
    values[i] = mean + radius * std::cos(angle);
    if (i + 1 < values.size()) values[i + 1] = mean + radius * std::sin(angle);
  }
  return rounded(DType::f32, std::move(values));
}

Values Draw::uniform(const Shape& shape, double low, double high) {
  Values values(static_cast<std::size_t>(shape.numel()));
  for (double& value : values) value = low + (high - low) * next();
  return rounded(DType::f32, std::move(values));
}

Values Draw::whole(const Shape& shape, std::int64_t low, std::int64_t high) {
  Values values(static_cast<std::size_t>(shape.numel()));
  for (double& value : values) value = static_cast<double>(roll(low, high));
  return values;
}

std::int64_t Draw::roll(std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(next() * static_cast<double>(high - low + 1));
}

Values Draw::permutation(std::int64_t count) {
  Values values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  for (std::int64_t i = count - 1; i > 0; --i)
    std::swap(values[static_cast<std::size_t>(i)], values[static_cast<std::size_t>(roll(0, i))]);
  return values;
}

Values absolute(Values values) {
  for (double& value : values) value = std::abs(value);
  return values;
}

double rounded(DType dtype, double value) {
  const auto narrow = static_cast<float>(value);
  switch (dtype) {
    case DType::bf16:
      return to_float(to_bf16(narrow));
    case DType::f16:
      return to_float(to_f16(narrow));
    case DType::f32:
      return narrow;
    default:
      return value;
  }
}

Values rounded(DType dtype, Values values) {
  if (dtype == DType::f32) {
    for (double& value : values) value = static_cast<float>(value);
    return values;
  }
  for (double& value : values) value = rounded(dtype, value);
  return values;
}

namespace {

// The number of the dtype next to `value` (not NaN, not 0) on the side of zero.
double inner_neighbour(DType dtype, double value) {
  const auto narrow = static_cast<float>(value);
  if (dtype == DType::bf16)
    return to_float(bf16{static_cast<std::uint16_t>(to_bf16(narrow).bits - 1)});
  return to_float(f16{static_cast<std::uint16_t>(to_f16(narrow).bits - 1)});
}

double outer_neighbour(DType dtype, double value) {
  const auto narrow = static_cast<float>(value);
  if (dtype == DType::bf16)
    return to_float(bf16{static_cast<std::uint16_t>(to_bf16(narrow).bits + 1)});
  return to_float(f16{static_cast<std::uint16_t>(to_f16(narrow).bits + 1)});
}

}  // namespace

double before_store(DType dtype, double got, double want) {
  if (std::isnan(got) || std::isnan(want) || got == want) return got;
  // Mirrored, got is not negative; numbers reach halfway to their neighbours.
  if (std::signbit(got) || (got == 0 && want < 0))
    return -before_store(dtype, std::abs(got), -want);
  if (want < got) {
    const double inner = inner_neighbour(dtype, got);
    if (!std::isinf(got)) return std::max(want, (inner + got) / 2);
    // Infinity stands where the next number would.
    return std::max(want, inner + (inner - inner_neighbour(dtype, inner)) / 2);
  }
  const double outer = outer_neighbour(dtype, got);
  const double next = std::isinf(outer) ? 2 * got - inner_neighbour(dtype, got) : outer;
  return std::min(want, (got + next) / 2);
}

}  // namespace lamina::suite
