// Linear layers for a device that is only described: cuBLASLt cannot be asked for algorithms then,
// but makes the descriptions of the products.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "kernels/linear.h"
#include "tests/cuda/plan_device.h"

namespace lamina::test {
namespace {

TEST(PlannedLinear, LeavesTheBiasGradientToTheLibraryWithoutAnActivation) {
  Context ctx = plan_context(std::string(LAMINA_DEVICES) + "/h100.json", cuda::F32Math::exact);
  const auto plan = [&](bool bias, Act act, DType dtype) {
    return make_linear(ctx, {.n = 64, .in = 84, .k = 10, .bias = bias, .act = act, .dtype = dtype})
        ->describe();
  };
  for (DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    EXPECT_EQ(plan(true, Act::none, dtype), "cuBLASLt, backward_weights+db");
    EXPECT_EQ(plan(true, Act::relu, dtype), "cuBLASLt");
    EXPECT_EQ(plan(false, Act::none, dtype), "cuBLASLt");
  }
}

}  // namespace
}  // namespace lamina::test
