// y += x in plain loops. Contract: kernels/accumulate.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/accumulate.h"

#include "kernels/checks.h"

namespace lamina {

void ref::accumulate(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::accumulate(ctx, x, y);
  visit_real(x.dtype, "accumulate", [&]<class T>(T) {
    const T* const from = x.as<T>();
    T* const to = y.as<T>();
    for (std::int64_t row = 0; row < x.rows(); ++row)
      for (std::int64_t c = 0; c < x.shape.c; ++c)
        to[row * y.row() + c] += from[row * x.shape.c + c];
  });
}

}  // namespace lamina
