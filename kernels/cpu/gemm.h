// A small matrix product: c[m][j] = bias[j] + sum over l of a(m, l) * b(l)[j].
//
// Nothing is copied: a is read element by element through its strides, b in vectors along j, and a
// block of c stays in registers for the whole sum. Meant for matrices that fit the caches. The
// order of a sum depends on neither the blocks nor the threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/core/context.h"

namespace lamina::cpu {

struct Gemm {
  std::int64_t m = 0, j = 0, l = 0;
  const float* a = nullptr;
  std::int64_t a_m = 0, a_l = 0;  // distances between neighbours in a
  const float* b = nullptr;
  std::int64_t b_l = 0;         // between rows of b, whose elements lie side by side
  const float* bias = nullptr;  // j floats, or null
  float* c = nullptr;
  std::int64_t c_m = 0;  // between rows of c; 0: they are dense
  bool add = false;      // to what c holds; without a bias then
  int terms = 16;        // that are added up before they go to c

  void run(const Context& ctx) const;
  void run_rows(std::int64_t begin, std::int64_t end) const;  // on the caller's thread
};

}  // namespace lamina::cpu
