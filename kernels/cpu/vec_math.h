// exp, tanh and sigmoid on a vector of floats, and the activations with their derivatives.
// Errors against the exact value, over all floats: see tests/kernels.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/activation.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {

// x = n*ln2 + r with |r| <= ln2/2; adding 1.5*2^23 rounds to the nearest integer. ln2 comes in two
// parts, the first with trailing zeros so that n times it is exact.
struct ExpParts {
  Vec n, r;
};
LAMINA_INLINE ExpParts split_by_ln2(const Vec& x) {
  constexpr float kLog2e = 1.44269504f, kRound = 12582912.0f;
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  const Vec n = (x * kLog2e + kRound) - kRound;
  return {n, (x - n * kLn2High) - n * kLn2Low};
}

// exp(r) - 1 on [-ln2/2, ln2/2]: the Taylor series, whose first term left out is 5e-9 of r.
LAMINA_INLINE Vec expm1_reduced(const Vec& r) {
  Vec p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  return p * (r * r) + r;
}

// 2^n for -126 <= n <= 127, from the exponent bits.
LAMINA_INLINE Vec exp2_integer(const IntVec& n) {
  const IntVec bits = (n + 127) << 23;
  Vec v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

LAMINA_INLINE Vec exp(const Vec& argument) {
  // Beyond these bounds the result is 0 or infinity anyhow; NaN passes both comparisons.
  Vec x = argument > 89.0f ? splat(89.0f) : argument;
  x = x < -104.0f ? splat(-104.0f) : x;
  const ExpParts parts = split_by_ln2(x);
  const IntVec n = __builtin_convertvector(parts.n, IntVec);
  // Two factors, because 2^n itself leaves the range of floats before the result does.
  const IntVec half = n >> 1;
  return (expm1_reduced(parts.r) + 1.0f) * exp2_integer(half) * exp2_integer(n - half);
}

LAMINA_INLINE Vec with_sign_of(const Vec& magnitude, const Vec& sign) {
  IntVec m, s;
  std::memcpy(&m, &magnitude, sizeof m);
  std::memcpy(&s, &sign, sizeof s);
  m = (m & 0x7FFFFFFF) | (s & INT32_MIN);
  Vec v;
  std::memcpy(&v, &m, sizeof v);
  return v;
}

// tanh x = e/(e + 2) with e = exp(2|x|) - 1, which keeps small x exact.
LAMINA_INLINE Vec tanh(const Vec& x) {
  Vec t = with_sign_of(x, Vec{}) * 2.0f;
  t = t > 20.0f ? splat(20.0f) : t;  // tanh is 1 in f32 from 9.01 on
  const ExpParts parts = split_by_ln2(t);
  const Vec power = exp2_integer(__builtin_convertvector(parts.n, IntVec));
  const Vec e = power * expm1_reduced(parts.r) + (power - 1.0f);
  return with_sign_of(e / (e + 2.0f), x);
}

// 1/(1 + exp(-x)) without overflow: for x < 0 as exp(x)/(1 + exp(x)).
LAMINA_INLINE Vec sigmoid(const Vec& x) {
  const Vec z = exp(-with_sign_of(x, Vec{}));
  const Vec r = 1.0f / (1.0f + z);
  return x < 0.0f ? z * r : r;
}

// The activations as types. forward(NaN) is NaN; backward gets the output y.
struct Identity {
  static LAMINA_INLINE Vec forward(const Vec& x) { return x; }
  static LAMINA_INLINE Vec backward(const Vec&, const Vec& dy) { return dy; }
};
struct Relu {
  static LAMINA_INLINE Vec forward(const Vec& x) { return x < 0.0f ? Vec{} : x; }
  static LAMINA_INLINE Vec backward(const Vec& y, const Vec& dy) { return y > 0.0f ? dy : Vec{}; }
};
struct Relu6 {
  static LAMINA_INLINE Vec forward(const Vec& x) {
    const Vec v = x < 0.0f ? Vec{} : x;
    return v > 6.0f ? splat(6.0f) : v;
  }
  static LAMINA_INLINE Vec backward(const Vec& y, const Vec& dy) {
    const Vec v = y > 0.0f ? dy : Vec{};
    return y < 6.0f ? v : Vec{};
  }
};
struct Tanh {
  static LAMINA_INLINE Vec forward(const Vec& x) { return tanh(x); }
  static LAMINA_INLINE Vec backward(const Vec& y, const Vec& dy) { return dy * (1.0f - y * y); }
};
struct Sigmoid {
  static LAMINA_INLINE Vec forward(const Vec& x) { return sigmoid(x); }
  static LAMINA_INLINE Vec backward(const Vec& y, const Vec& dy) { return dy * y * (1.0f - y); }
};

// Calls body(Relu{}) and so on: the one place where a runtime Act becomes a compile-time type.
template <class Body>
void visit_act(Act act, Body&& body) {
  switch (act) {
    case Act::none:
      return body(Identity{});
    case Act::relu:
      return body(Relu{});
    case Act::relu6:
      return body(Relu6{});
    case Act::tanh:
      return body(Tanh{});
    case Act::sigmoid:
      return body(Sigmoid{});
  }
}

}  // namespace lamina::cpu
