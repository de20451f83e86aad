// A register of floats as one value, through the compiler's vector extension: sixteen with AVX-512,
// eight on other machines (with AVX one register, else two). Nothing here asks for alignment.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#ifdef __AVX2__
#include <immintrin.h>  // multiply-adds, masked loads and stores: the extension has none
#endif

#include "engine/core/dtype.h"

#define LAMINA_INLINE inline __attribute__((always_inline))

// In front of a short loop over registers, which have no addresses to loop over.
#ifdef __clang__
#define LAMINA_UNROLL _Pragma("unroll")
#else
#define LAMINA_UNROLL _Pragma("GCC unroll 16")
#endif

namespace lamina::cpu {

// Lanes of a vector, and how many vectors the machine can hold in registers.
#ifdef __AVX512F__
inline constexpr std::int64_t kLanes = 16, kRegisters = 32;
#else
inline constexpr std::int64_t kLanes = 8, kRegisters = 16;
#endif

// The first multiple of `step` from n on.
constexpr std::int64_t round_up(std::int64_t n, std::int64_t step = kLanes) {
  return (n + step - 1) / step * step;
}

// Whether a vector is one register and a multiply-add one instruction: without that our
// register-blocked kernels are slow.
#if defined(__AVX2__) && defined(__FMA__)
inline constexpr bool kFastVectors = true;
#else
inline constexpr bool kFastVectors = false;
#endif

using Vec = float __attribute__((vector_size(4 * kLanes)));
using IntVec = std::int32_t __attribute__((vector_size(4 * kLanes)));

LAMINA_INLINE Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
LAMINA_INLINE void store(float* p, const Vec& v) { std::memcpy(p, &v, sizeof v); }
LAMINA_INLINE Vec splat(float value) { return value - Vec{}; }

// a * b + c, rounded once where the machine can: said, because compilers decide from loop to loop
// whether two operations become one, and blocks of other sizes have to round alike.
LAMINA_INLINE Vec multiply_add(const Vec& a, const Vec& b, const Vec& c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

#if defined(__AVX2__) && !defined(__AVX512F__)
// All bits of the first `count` lanes.
LAMINA_INLINE __m256i first_lanes(std::int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

// The first `count` lanes; the others are `rest`. What lies behind them is not touched.
LAMINA_INLINE Vec load_part(const float* p, std::int64_t count, float rest = 0.0f) {
#ifdef __AVX512F__
  return _mm512_mask_loadu_ps(splat(rest), static_cast<__mmask16>((1u << count) - 1u), p);
#elif defined(__AVX2__)
  const __m256i mask = first_lanes(count);
  return _mm256_blendv_ps(splat(rest), _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask));
#else
  Vec v = splat(rest);
  std::memcpy(&v, p, static_cast<std::size_t>(count) * sizeof(float));
  return v;
#endif
}
LAMINA_INLINE void store_part(float* p, const Vec& v, std::int64_t count) {
#ifdef __AVX512F__
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1u), v);
#elif defined(__AVX2__)
  _mm256_maskstore_ps(p, first_lanes(count), v);
#else
  std::memcpy(p, &v, static_cast<std::size_t>(count) * sizeof(float));
#endif
}

// The lanes converted one by one. Spelt out: this is what compilers turn into one conversion.
template <class To, class From, int... i>
LAMINA_INLINE To convert_lanes(const From& v, std::integer_sequence<int, i...>) {
  return To{v[i]...};
}
template <class To, int count, class From>
LAMINA_INLINE To convert_lanes(const From& v) {
  return convert_lanes<To>(v, std::make_integer_sequence<int, count>{});
}

// Elements of bf16 are widened when they are read, and rounded to the nearest, ties to even, when
// they are written; NaN stays NaN. Not by the machine's own conversion, which turns what is below
// the normal numbers into zero: all machines write the same.
template <class Floats, class Ints, int count, class Words>
LAMINA_INLINE Floats widened_lanes(const Words& words) {
  const Ints bits = convert_lanes<Ints, count>(words) << 16;
  Floats v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}
template <class Words, class Bits, class Floats>
LAMINA_INLINE Words narrowed_lanes(const Floats& v) {
  Bits bits;  // unsigned
  std::memcpy(&bits, &v, sizeof bits);
  const Bits rounded = bits + 0x7FFF + ((bits >> 16) & 1);
  const Bits words = v == v ? rounded : bits | 0x400000;
  return __builtin_convertvector(words >> 16, Words);
}

using BitsVec = std::uint32_t __attribute__((vector_size(4 * kLanes)));
using HalfWords = std::uint16_t __attribute__((vector_size(2 * kLanes)));
LAMINA_INLINE Vec widened(const HalfWords& words) {
  return widened_lanes<Vec, IntVec, kLanes>(words);
}
LAMINA_INLINE HalfWords narrowed(const Vec& v) { return narrowed_lanes<HalfWords, BitsVec>(v); }

LAMINA_INLINE Vec load(const bf16* p) {
  HalfWords words;
  std::memcpy(&words, p, sizeof words);
  return widened(words);
}
LAMINA_INLINE void store(bf16* p, const Vec& v) {
  const HalfWords words = narrowed(v);
  std::memcpy(static_cast<void*>(p), &words, sizeof words);
}
LAMINA_INLINE Vec load_part(const bf16* p, std::int64_t count) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  return widened(reinterpret_cast<HalfWords>(
      _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << count) - 1u), p)));
#else
  HalfWords words{};
  std::memcpy(&words, p, static_cast<std::size_t>(count) * sizeof(bf16));
  return widened(words);
#endif
}
LAMINA_INLINE void store_part(bf16* p, const Vec& v, std::int64_t count) {
  const HalfWords words = narrowed(v);
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  _mm256_mask_storeu_epi16(
      p, static_cast<__mmask16>((1u << count) - 1u), reinterpret_cast<__m256i>(words));
#else
  std::memcpy(static_cast<void*>(p), &words, static_cast<std::size_t>(count) * sizeof(bf16));
#endif
}

// A whole vector, or what a row has left of one.
template <class T>
LAMINA_INLINE Vec load_some(const T* p, std::int64_t count) {
  return count >= kLanes ? load(p) : load_part(p, count);
}
template <class T>
LAMINA_INLINE void store_some(T* p, const Vec& v, std::int64_t count) {
  if (count >= kLanes)
    store(p, v);
  else
    store_part(p, v, count);
}

// Lane i is element index[i] of low and high side by side.
LAMINA_INLINE Vec pick(const Vec& low, const Vec& high, const IntVec& index) {
#ifdef __clang__
  Vec v;
  for (int i = 0; i < kLanes; ++i)
    v[i] = index[i] < kLanes ? low[index[i]] : high[index[i] - kLanes];
  return v;
#else
  return __builtin_shuffle(low, high, index);
#endif
}

// y[i] = f(x[i]...) for i in [begin, end), a vector at a time; y may be one of the x.
template <class F, class Out, class... In>
LAMINA_INLINE void map_range(
    std::int64_t begin, std::int64_t end, const F& f, Out* y, const In*... x) {
  std::int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) store(y + i, f(load(x + i)...));
  if (i < end) store_part(y + i, f(load_part(x + i, end - i)...), end - i);
}

}  // namespace lamina::cpu
