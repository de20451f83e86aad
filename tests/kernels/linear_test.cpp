// What a plan of a linear layer refuses.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear.h"

#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

class LinearKernel : public KernelTest {};
LAMINA_OVER_BACKENDS(LinearKernel);

TEST_P(LinearKernel, PassesThatWereNotPlannedAreRefused) {
  Context ctx = make_context({.backend = GetParam(), .threads = 2});
  const auto plan = make_linear(
      ctx, {.n = 1, .in = 2, .k = 3, .backward_data = false, .backward_weights = false});
  EXPECT_THROW(plan->backward_data({}, {}, {}, nullptr), Error);
  EXPECT_THROW(plan->backward_weights({}, {}, {}, {}, {}, nullptr), Error);
}

}  // namespace
}  // namespace lamina::test
