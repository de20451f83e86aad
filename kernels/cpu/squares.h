// Sums of squares, added in the same order for any number of threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cpu/pointwise.h"

namespace lamina::cpu {

inline std::int64_t square_parts(std::int64_t count) {
  return (count + kPointwiseGrain - 1) / kPointwiseGrain;
}

// In f64: a slab may hold a hundred million elements. `parts` has room for square_parts(count).
template <class T>
double sum_of_squares(const Context& ctx, const T* x, std::int64_t count, double* parts) {
  parallel_for(ctx, count, kPointwiseGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin; first < end; first += kPointwiseGrain) {
      double sum = 0;
      for (std::int64_t i = first; i < std::min(end, first + kPointwiseGrain); ++i)
        sum += static_cast<double>(widened(x[i])) * widened(x[i]);
      parts[first / kPointwiseGrain] = sum;
    }
  });
  double sum = 0;
  for (std::int64_t i = 0; i < square_parts(count); ++i) sum += parts[i];
  return sum;
}

}  // namespace lamina::cpu
