// The sum of two branches in plain loops. Contract: kernels/add.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/add.h"

#include "kernels/checks.h"
#include "kernels/ref/pointwise.h"

namespace lamina {

void ref::add_forward(Context& ctx, Act act, const Tensor& a, const Tensor& b, const Tensor& y) {
  checks::add_forward(ctx, a, b, y);
  visit_real(y.dtype, "add_forward", [&]<class T>(T) {
    for (std::int64_t i = 0; i < y.numel(); ++i) {
      const double sum = static_cast<double>(a.as<T>()[i]) + static_cast<double>(b.as<T>()[i]);
      y.as<T>()[i] = static_cast<T>(activate(act, sum));
    }
  });
}

void ref::add_backward(
    Context& ctx, Act act, const Tensor& y, const Tensor& dy, const Tensor& da, const Tensor& db) {
  checks::add_backward(ctx, act, y, dy, da, db);
  visit_real(dy.dtype, "add_backward", [&]<class T>(T) {
    for (std::int64_t i = 0; i < dy.numel(); ++i) {
      const double through = act == Act::none ? 1 : slope(act, y.as<T>()[i]);
      const auto gradient = static_cast<T>(dy.as<T>()[i] * through);
      if (da) da.as<T>()[i] = gradient;
      if (db) db.as<T>()[i] = gradient;
    }
  });
}

}  // namespace lamina
