// The double of the cuDNN convolution, where ours does not take its place. Contract:
// kernels/conv2d.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv2d.h"

#include "kernels/checks.h"
#include "kernels/cuda/conv2d_impl.h"
#include "tests/simt/library_double.h"

namespace lamina {
namespace {

struct Checks {
  static constexpr bool sums_bias = false;
  static constexpr auto forward = checks::conv2d_forward;
  static constexpr auto backward_data = checks::conv2d_backward_data;
  static constexpr auto backward_weights = checks::conv2d_backward_weights;
};

}  // namespace

std::unique_ptr<Conv2d> cuda::make_conv2d(Context& ctx, const Conv2dDesc& desc) {
  checks::conv2d(ctx, desc);
  if (depthwise_can_run(desc)) return make_depthwise_conv2d(ctx, desc);
  return simt::make_double<Checks>(ctx, desc, ref::make_conv2d);
}

}  // namespace lamina
