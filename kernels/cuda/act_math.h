// The activations and their slopes, in f32, inside kernels. Contract: kernels/activation.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "kernels/activation.h"
#include "kernels/cuda/language.h"

namespace lamina::cuda {

// NaN stays NaN. `act` is the same for a whole launch, so the branch costs nothing.
LAMINA_DEVICE float activate(Act act, float x) {
  switch (act) {
    case Act::none:
      break;
    case Act::relu:
      return x < 0.0f ? 0.0f : x;
    case Act::relu6:
      return x < 0.0f ? 0.0f : (x > 6.0f ? 6.0f : x);
    case Act::tanh:
      return tanhf(x);
    case Act::sigmoid:
      return 1.0f / (1.0f + expf(-x));
  }
  return x;
}

// g * act'(x), from y = act(x).
LAMINA_DEVICE float through_act(Act act, float y, float g) {
  switch (act) {
    case Act::none:
      break;
    case Act::relu:
      return y > 0.0f ? g : 0.0f;
    case Act::relu6:
      return y > 0.0f && y < 6.0f ? g : 0.0f;
    case Act::tanh:
      return g * (1.0f - y * y);
    case Act::sigmoid:
      return g * y * (1.0f - y);
  }
  return g;
}

}  // namespace lamina::cuda
