// Contract: kernels/accumulate.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/accumulate.h"

#include "kernels/checks.h"
#include "kernels/cuda/pointwise.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

struct Add {
  LAMINA_DEVICE float operator()(float x, float y) const { return x + y; }
};

}  // namespace

void cuda::accumulate(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::accumulate(ctx, x, y);
  visit_compute(x.dtype, "accumulate", [&]<class T>(T) {
    map(ctx, "accumulate", x.as<T>(), y.as<T>(), y.as<T>(), x.numel(), Add{});
  });
}

}  // namespace lamina
