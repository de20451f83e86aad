// SPDX-License-Identifier: Apache-2.0
#include "kernels/activation.h"

#include "kernels/checks.h"
#include "kernels/cpu/pointwise.h"
#include "kernels/cpu/vec_math.h"

namespace lamina::cpu {

void act_forward(Context& ctx, Act act, const Tensor& x, const Tensor& y) {
  checks::act_forward(ctx, x, y);
  visit_act(act, [&](auto a) {
    pointwise(
        ctx, x.numel(), [a](const Vec& v) { return a.forward(v); }, y.as<float>(), x.as<float>());
  });
}

void act_backward(Context& ctx, Act act, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  checks::act_backward(ctx, y, dy, dx);
  visit_act(act, [&](auto a) {
    pointwise(
        ctx,
        y.numel(),
        [a](const Vec& out, const Vec& gradient) { return a.backward(out, gradient); },
        dx.as<float>(),
        y.as<float>(),
        dy.as<float>());
  });
}

}  // namespace lamina::cpu
