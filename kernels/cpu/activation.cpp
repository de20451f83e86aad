// SPDX-License-Identifier: Apache-2.0
#include "kernels/activation.h"

#include "kernels/checks.h"
#include "kernels/cpu/pointwise.h"
#include "kernels/cpu/vec_math.h"

namespace lamina::cpu {

void act_forward(Context& ctx, Act act, const Tensor& x, const Tensor& y) {
  checks::act_forward(ctx, x, y);
  visit_storage(x.dtype, [&]<class T>(T) {
    visit_act(act, [&](auto a) {
      pointwise(
          ctx, x.numel(), [a](const Vec& v) { return a.forward(v); }, y.as<T>(), x.as<T>());
    });
  });
}

void act_backward(Context& ctx, Act act, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  checks::act_backward(ctx, y, dy, dx);
  visit_storage(y.dtype, [&]<class T>(T) {
    visit_act(act, [&](auto a) {
      pointwise(
          ctx,
          y.numel(),
          [a](const Vec& out, const Vec& gradient) { return a.backward(out, gradient); },
          dx.as<T>(),
          y.as<T>(),
          dy.as<T>());
    });
  });
}

}  // namespace lamina::cpu
