// Where a resized row or column takes its values from, inside kernels. The rule:
// kernels/upsample.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/language.h"

namespace lamina::cuda {

struct Taps {
  int index[2];
  float weight[2];
};

LAMINA_DEVICE float source_of(int out, int in_size, int out_size) {
  const float position = (static_cast<float>(out) + 0.5f) * static_cast<float>(in_size) /
                             static_cast<float>(out_size) -
                         0.5f;
  return position > 0.0f ? position : 0.0f;
}

LAMINA_DEVICE Taps taps_of(int out, int in_size, int out_size) {
  const float source = source_of(out, in_size, out_size);
  int lower = static_cast<int>(source);
  if (lower > in_size - 1) lower = in_size - 1;
  const int upper = lower + 1 < in_size ? lower + 1 : lower;
  const float fraction = source - static_cast<float>(lower);
  return {{lower, upper}, {1.0f - fraction, fraction}};
}

// The outputs [begin, end) that may look at input `in`: those whose source lies within one of it,
// widened by one on either side for the rounding of the coordinates.
struct Readers {
  int begin, end;
};

LAMINA_DEVICE Readers readers_of(int in, int in_size, int out_size) {
  const float scale = static_cast<float>(out_size) / static_cast<float>(in_size);
  int begin = static_cast<int>((static_cast<float>(in) - 0.5f) * scale - 0.5f) - 1;
  int end = static_cast<int>((static_cast<float>(in) + 1.5f) * scale - 0.5f) + 3;
  // The first input also stands for everything before it, the last for everything behind.
  if (begin < 0 || in == 0) begin = 0;
  if (end > out_size || in == in_size - 1) end = out_size;
  return {begin, end};
}

}  // namespace lamina::cuda
