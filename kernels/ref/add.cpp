// The sum of two branches in plain loops. Contract: kernels/add.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/add.h"

#include "kernels/checks.h"
#include "kernels/ref/pointwise.h"

namespace lamina {

void ref::add_forward(
    Context& ctx, const AddOpts& opts, const Tensor& a, const Tensor& b, const Tensor& y) {
  checks::add_forward(ctx, a, b, y);
  visit_real(y.dtype, "add_forward", [&]<class T>(T) {
    for (std::int64_t i = 0; i < y.numel(); ++i) {
      const double scaled = opts.scale * static_cast<double>(b.as<T>()[i]);
      const double sum = static_cast<double>(a.as<T>()[i]) + scaled;
      y.as<T>()[i] = static_cast<T>(activate(opts.act, sum));
    }
  });
}

void ref::add_backward(Context& ctx,
                       const AddOpts& opts,
                       const Tensor& y,
                       const Tensor& dy,
                       const Tensor& da,
                       const Tensor& db) {
  checks::add_backward(ctx, opts.act, y, dy, da, db);
  visit_real(dy.dtype, "add_backward", [&]<class T>(T) {
    for (std::int64_t i = 0; i < dy.numel(); ++i) {
      const double through = opts.act == Act::none ? 1 : slope(opts.act, y.as<T>()[i]);
      const double gradient = dy.as<T>()[i] * through;
      if (da) da.as<T>()[i] = static_cast<T>(gradient);
      if (db) db.as<T>()[i] = static_cast<T>(opts.scale * gradient);
    }
  });
}

}  // namespace lamina
