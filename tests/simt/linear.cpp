// The double of the cuBLASLt layer. Contract: kernels/linear.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear.h"

#include "kernels/checks.h"
#include "tests/simt/library_double.h"

namespace lamina {
namespace {

struct Checks {
  static constexpr bool sums_bias = true;
  static constexpr auto forward = checks::linear_forward;
  static constexpr auto backward_data = checks::linear_backward_data;
  static constexpr auto backward_weights = checks::linear_backward_weights;
};

}  // namespace

std::unique_ptr<Linear> cuda::make_linear(Context& ctx, const LinearDesc& desc) {
  checks::linear(ctx, desc);
  return simt::make_double<Checks>(ctx, desc, ref::make_linear);
}

}  // namespace lamina
