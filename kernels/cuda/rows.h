// A warp a row: what softmax and the losses have in common. Every lane of the warp calls these.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "kernels/cuda/language.h"

namespace lamina::cuda {

LAMINA_DEVICE int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
LAMINA_DEVICE std::int64_t first_warp() { return first_thread() / kWarp; }
LAMINA_DEVICE std::int64_t all_warps() { return all_threads() / kWarp; }

template <class T>
LAMINA_DEVICE float row_max(const T* row, int length) {
  float largest = -INFINITY;
  for (int f = lane(); f < length; f += kWarp) largest = fmaxf(largest, as_f32(row[f]));
  for (int mask = kWarp / 2; mask > 0; mask /= 2)
    largest = fmaxf(largest, shuffle_xor(largest, mask));
  return largest;
}

// Sum of exp(x - largest).
template <class T>
LAMINA_DEVICE float row_exp_sum(const T* row, int length, float largest) {
  float sum = 0.0f;
  for (int f = lane(); f < length; f += kWarp) sum += expf(as_f32(row[f]) - largest);
  return warp_sum(sum);
}

}  // namespace lamina::cuda
