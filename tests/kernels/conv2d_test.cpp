// What a plan of a convolution refuses.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv2d.h"

#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

class Conv2dKernel : public KernelTest {};
LAMINA_OVER_BACKENDS(Conv2dKernel);

// The first layer asks for no dx, inference for neither gradient.
TEST_P(Conv2dKernel, PassesThatWereNotPlannedAreRefused) {
  Context ctx = make_context({.backend = GetParam(), .threads = 2});
  const auto plan = make_conv2d(ctx,
                                {.x = {1, 3, 3, 1},
                                 .k = 1,
                                 .r = 3,
                                 .s = 3,
                                 .backward_data = false,
                                 .backward_weights = false});
  EXPECT_THROW(plan->backward_data({}, {}, {}, nullptr), Error);
  EXPECT_THROW(plan->backward_weights({}, {}, {}, {}, {}, nullptr), Error);
}

}  // namespace
}  // namespace lamina::test
