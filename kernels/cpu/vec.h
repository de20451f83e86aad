// Sixteen floats as one value, through the compiler's vector extension: one register with AVX-512,
// two or four on smaller machines. Nothing here asks for alignment.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __AVX512F__
#include <immintrin.h>  // masked loads and stores, which the extension cannot say
#endif

#define LAMINA_INLINE inline __attribute__((always_inline))

// In front of a short loop over registers, which have no addresses to loop over.
#ifdef __clang__
#define LAMINA_UNROLL _Pragma("unroll")
#else
#define LAMINA_UNROLL _Pragma("GCC unroll 16")
#endif

namespace lamina::cpu {

inline constexpr std::int64_t kLanes = 16;

// The first multiple of `step` from n on.
constexpr std::int64_t round_up(std::int64_t n, std::int64_t step = kLanes) {
  return (n + step - 1) / step * step;
}

// Whether a vector is one register, of which there are 32: our register-blocked kernels rely on it.
#ifdef __AVX512F__
inline constexpr bool kWideVectors = true;
#else
inline constexpr bool kWideVectors = false;
#endif

using Vec = float __attribute__((vector_size(64)));
using IntVec = std::int32_t __attribute__((vector_size(64)));

LAMINA_INLINE Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
LAMINA_INLINE void store(float* p, const Vec& v) { std::memcpy(p, &v, sizeof v); }
LAMINA_INLINE Vec splat(float value) { return value - Vec{}; }

// The first `count` lanes; the others are `rest`. What lies behind them is not touched.
LAMINA_INLINE Vec load_part(const float* p, std::int64_t count, float rest = 0.0f) {
#ifdef __AVX512F__
  return _mm512_mask_loadu_ps(splat(rest), static_cast<__mmask16>((1u << count) - 1u), p);
#else
  Vec v = splat(rest);
  std::memcpy(&v, p, static_cast<std::size_t>(count) * sizeof(float));
  return v;
#endif
}
LAMINA_INLINE void store_part(float* p, const Vec& v, std::int64_t count) {
#ifdef __AVX512F__
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1u), v);
#else
  std::memcpy(p, &v, static_cast<std::size_t>(count) * sizeof(float));
#endif
}

// A whole vector, or what a row has left of one.
LAMINA_INLINE Vec load_some(const float* p, std::int64_t count) {
  return count >= kLanes ? load(p) : load_part(p, count);
}
LAMINA_INLINE void store_some(float* p, const Vec& v, std::int64_t count) {
  if (count >= kLanes)
    store(p, v);
  else
    store_part(p, v, count);
}

// Lane i is element index[i] of the 32 in low and high.
LAMINA_INLINE Vec pick(const Vec& low, const Vec& high, const IntVec& index) {
#ifdef __clang__
  Vec v;
  for (int i = 0; i < kLanes; ++i) v[i] = index[i] < 16 ? low[index[i]] : high[index[i] - 16];
  return v;
#else
  return __builtin_shuffle(low, high, index);
#endif
}

// y[i] = f(x[i]...) for i in [begin, end), sixteen at a time; y may be one of the x.
template <class F, class... In>
LAMINA_INLINE void map_range(
    std::int64_t begin, std::int64_t end, const F& f, float* y, const In*... x) {
  std::int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) store(y + i, f(load(x + i)...));
  if (i < end) store_part(y + i, f(load_part(x + i, end - i)...), end - i);
}

}  // namespace lamina::cpu
