// What softmax and the losses ask of the row of a sample.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <omp.h>

#include <limits>

#include "engine/core/parallel.h"
#include "kernels/cpu/vec_math.h"

namespace lamina::cpu {

// Calls body(offset of the row, its length) for every sample, over the threads.
template <class Body>
void for_each_row(const Context& ctx, const Tensor& x, const Body& body) {
  const std::int64_t length = x.shape.per_sample();
  const std::int64_t grain = (4096 + length - 1) / length;
  parallel_for(ctx, x.shape.n, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) body(n * length, length);
  });
}

// The rows of a tensor as f32: its own where it is f32, else copies, one for each thread.
class FloatRows {
 public:
  // memory: floats(ctx, t) of them
  FloatRows(const Tensor& t, float* memory)
      : tensor_(t), memory_(memory), length_(t ? t.shape.per_sample() : 0) {}
  static std::size_t floats(const Context& ctx, const Tensor& t) {
    return t && t.dtype != DType::f32
               ? static_cast<std::size_t>(ctx.threads() * t.shape.per_sample())
               : 0;
  }

  // The row for writing, which put() then puts in its place.
  float* at(std::int64_t offset) const {
    if (!tensor_) return nullptr;
    return tensor_.dtype == DType::f32 ? tensor_.as<float>() + offset
                                       : memory_ + omp_get_thread_num() * length_;
  }
  float* read(std::int64_t offset) const {
    float* const row = at(offset);
    if (tensor_ && tensor_.dtype != DType::f32) copy(tensor_.as<bf16>() + offset, row);
    return row;
  }
  void put(std::int64_t offset) const {
    if (tensor_ && tensor_.dtype != DType::f32) copy(at(offset), tensor_.as<bf16>() + offset);
  }

 private:
  template <class In, class Out>
  void copy(const In* from, Out* to) const {
    map_range(
        0, length_, [](const Vec& v) { return v; }, to, from);
  }

  Tensor tensor_;
  float* memory_;
  std::int64_t length_;
};

// Folds a row a vector at a time: v = f(v, row[i]...). Lanes behind the end are skipped.
template <class F, class... In>
LAMINA_INLINE Vec fold_row(Vec v, std::int64_t length, const F& f, const In*... x) {
  std::int64_t i = 0;
  for (; i + kLanes <= length; i += kLanes) v = f(v, load(x + i)...);
  if (i < length) {
    const Vec part = f(v, load_part(x + i, length - i)...);
    for (std::int64_t lane = 0; lane < length - i; ++lane) v[lane] = part[lane];
  }
  return v;
}

// The lanes are added in f64: rows may be long, and the sum is used to full precision.
LAMINA_INLINE double sum_lanes(const Vec& v) {
  double sum = 0;
  for (std::int64_t lane = 0; lane < kLanes; ++lane) sum += v[lane];
  return sum;
}

// NaN when there is one.
inline float row_max(const float* row, std::int64_t length) {
  const Vec v = fold_row(
      splat(-std::numeric_limits<float>::infinity()),
      length,
      [](const Vec& a, const Vec& b) { return a >= b ? a : b; },
      row);
  float largest = v[0];
  for (std::int64_t lane = 1; lane < kLanes; ++lane)
    if (!(largest >= v[lane])) largest = v[lane];
  return largest;
}

inline double row_sum(const float* row, std::int64_t length) {
  return sum_lanes(fold_row(
      Vec{}, length, [](const Vec& a, const Vec& b) { return a + b; }, row));
}

inline double row_dot(const float* a, const float* b, std::int64_t length) {
  return sum_lanes(fold_row(
      Vec{},
      length,
      [](const Vec& sum, const Vec& va, const Vec& vb) { return sum + va * vb; },
      a,
      b));
}

inline double row_exp_sum(const float* row, std::int64_t length, float largest) {
  return sum_lanes(fold_row(
      Vec{}, length, [=](const Vec& sum, const Vec& v) { return sum + exp(v - largest); }, row));
}

}  // namespace lamina::cpu
