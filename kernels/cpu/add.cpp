// SPDX-License-Identifier: Apache-2.0
#include "kernels/add.h"

#include "kernels/checks.h"
#include "kernels/cpu/pointwise.h"
#include "kernels/cpu/vec_math.h"

namespace lamina::cpu {

void add_forward(
    Context& ctx, const AddOpts& opts, const Tensor& a, const Tensor& b, const Tensor& y) {
  checks::add_forward(ctx, a, b, y);
  // Times 1 is exact, and free beside the loads.
  const auto scale = static_cast<float>(opts.scale);
  visit_storage(y.dtype, [&]<class T>(T) {
    visit_act(opts.act, [&](auto f) {
      pointwise(
          ctx,
          y.numel(),
          [f, scale](const Vec& left, const Vec& right) { return f.forward(left + scale * right); },
          y.as<T>(),
          a.as<T>(),
          b.as<T>());
    });
  });
}

void add_backward(Context& ctx,
                  const AddOpts& opts,
                  const Tensor& y,
                  const Tensor& dy,
                  const Tensor& da,
                  const Tensor& db) {
  checks::add_backward(ctx, opts.act, y, dy, da, db);
  visit_storage(dy.dtype, [&]<class T>(T) {
    visit_act(opts.act, [&](auto f) {
      const auto pass = [&](const Tensor& dx, double scale) {
        if (!dx) return;
        pointwise(
            ctx,
            dy.numel(),
            [f, by = static_cast<float>(scale)](const Vec& out, const Vec& gradient) {
              return by * f.backward(out, gradient);
            },
            dx.as<T>(),
            opts.act == Act::none ? dy.as<T>() : y.as<T>(),
            dy.as<T>());
      };
      // The one that is dy comes last: the other still reads it.
      const bool a_is_dy = da.data == dy.data;
      if (!a_is_dy) pass(da, 1);
      pass(db, opts.scale);
      if (a_is_dy) pass(da, 1);
    });
  });
}

}  // namespace lamina::cpu
