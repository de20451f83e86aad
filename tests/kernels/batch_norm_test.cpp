// What batch normalisation refuses.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/batch_norm.h"

#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

class BatchNormKernel : public KernelTest {};
LAMINA_OVER_BACKENDS(BatchNormKernel);

TEST_P(BatchNormKernel, OneValueHasNoVariance) {
  Context ctx = make_context({.backend = GetParam(), .threads = 2});
  Buffer memory = ctx.allocate(4096);
  const auto at = [&](std::size_t slot, DType dtype, std::int64_t count) {
    return vector_view(memory.bytes_at(slot * 256), dtype, count);
  };
  const auto f32 = [&](std::size_t slot) { return at(slot, DType::f32, 5); };
  const BatchNormParams params{f32(0), f32(1), f32(2), f32(3), at(4, DType::i64, 1)};
  try {
    batch_norm_train(ctx, {}, f32(5), {}, params, f32(6), f32(7), f32(8));
    FAIL() << "one sample of 1x1 was normalised";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::request);
    EXPECT_NE(std::string(error.what()).find("variance"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lamina::test
