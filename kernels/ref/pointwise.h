// The activations and their slopes as scalar functions, in f64.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "kernels/activation.h"

namespace lamina::ref {

// The comparisons are the way round that lets NaN through.
inline double activate(Act act, double x) {
  switch (act) {
    case Act::none:
      return x;
    case Act::relu:
      return x <= 0 ? 0 : x;
    case Act::relu6:
      return x <= 0 ? 0 : x >= 6 ? 6 : x;
    case Act::tanh:
      return std::tanh(x);
    case Act::sigmoid:
      return 1 / (1 + std::exp(-x));
  }
  return x;
}

// dy/dx as a function of y.
inline double slope(Act act, double y) {
  switch (act) {
    case Act::none:
      return 1;
    case Act::relu:
      return y > 0 ? 1 : 0;
    case Act::relu6:
      return y > 0 && y < 6 ? 1 : 0;
    case Act::tanh:
      return 1 - y * y;
    case Act::sigmoid:
      return y * (1 - y);
  }
  return 1;
}

// dy = dy * act'(y), in place. Without an activation y is not read.
template <class T>
void back_through(Act act, const Tensor& y, const Tensor& dy) {
  if (act == Act::none) return;
  for (std::int64_t i = 0; i < dy.numel(); ++i)
    dy.as<T>()[i] = static_cast<T>(dy.as<T>()[i] * slope(act, y.as<T>()[i]));
}

}  // namespace lamina::ref
