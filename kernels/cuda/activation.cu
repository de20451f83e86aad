// Contract: kernels/activation.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/activation.h"

#include "kernels/checks.h"
#include "kernels/cuda/act_math.h"
#include "kernels/cuda/pointwise.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

struct Forward {
  Act act;
  LAMINA_DEVICE float operator()(float x) const { return cuda::activate(act, x); }
};

struct Backward {
  Act act;
  LAMINA_DEVICE float operator()(float y, float dy) const { return cuda::through_act(act, y, dy); }
};

}  // namespace

void cuda::act_forward(Context& ctx, Act act, const Tensor& x, const Tensor& y) {
  checks::act_forward(ctx, x, y);
  visit_compute(x.dtype, "act_forward", [&]<class T>(T) {
    map(ctx, "act_forward", x.as<T>(), y.as<T>(), x.numel(), Forward{act});
  });
}

void cuda::act_backward(
    Context& ctx, Act act, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  checks::act_backward(ctx, y, dy, dx);
  visit_compute(y.dtype, "act_backward", [&]<class T>(T) {
    map(ctx, "act_backward", y.as<T>(), dy.as<T>(), dx.as<T>(), y.numel(), Backward{act});
  });
}

}  // namespace lamina
