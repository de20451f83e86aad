// SPDX-License-Identifier: Apache-2.0
#include "kernels/add.h"

#include "kernels/checks.h"
#include "kernels/cpu/pointwise.h"
#include "kernels/cpu/vec_math.h"

namespace lamina::cpu {

void add_forward(Context& ctx, Act act, const Tensor& a, const Tensor& b, const Tensor& y) {
  checks::add_forward(ctx, a, b, y);
  visit_act(act, [&](auto f) {
    pointwise(
        ctx,
        y.numel(),
        [f](const Vec& left, const Vec& right) { return f.forward(left + right); },
        y.as<float>(),
        a.as<float>(),
        b.as<float>());
  });
}

void add_backward(
    Context& ctx, Act act, const Tensor& y, const Tensor& dy, const Tensor& da, const Tensor& db) {
  checks::add_backward(ctx, act, y, dy, da, db);
  // The one that is dy comes last: the other still reads it.
  const Tensor& first = da.data == dy.data ? db : da;
  const Tensor& second = da.data == dy.data ? da : db;
  visit_act(act, [&](auto f) {
    for (const Tensor& dx : {first, second}) {
      if (!dx) continue;
      pointwise(
          ctx,
          dy.numel(),
          [f](const Vec& out, const Vec& gradient) { return f.backward(out, gradient); },
          dx.as<float>(),
          act == Act::none ? dy.as<float>() : y.as<float>(),
          dy.as<float>());
    }
  });
}

}  // namespace lamina::cpu
