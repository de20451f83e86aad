// Pointwise activations in plain loops. Contract: kernels/activation.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/activation.h"

#include "kernels/checks.h"
#include "kernels/ref/pointwise.h"

namespace lamina {

void ref::act_forward(Context& ctx, Act act, const Tensor& x, const Tensor& y) {
  checks::act_forward(ctx, x, y);
  visit_real(x.dtype, "act_forward", [&]<class T>(T) {
    const T* const in = x.as<T>();
    T* const out = y.as<T>();
    for (std::int64_t i = 0; i < x.numel(); ++i) out[i] = static_cast<T>(activate(act, in[i]));
  });
}

void ref::act_backward(Context& ctx, Act act, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  checks::act_backward(ctx, y, dy, dx);
  visit_real(y.dtype, "act_backward", [&]<class T>(T) {
    const T* const out = y.as<T>();
    const T* const gradient = dy.as<T>();
    T* const result = dx.as<T>();
    for (std::int64_t i = 0; i < y.numel(); ++i)
      result[i] = static_cast<T>(gradient[i] * slope(act, out[i]));
  });
}

}  // namespace lamina
