// Concat where parts lie in their place already, and what it refuses.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/concat.h"

#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

class ConcatKernel : public KernelTest {};
LAMINA_OVER_BACKENDS(ConcatKernel);

// What lies in its place stays there, and only the other part is copied.
TEST_P(ConcatKernel, LeavesPartsInTheirPlace) {
  Context ctx = make_context({.backend = GetParam(), .threads = 2});
  const Shape shape{2, 3, 3, 48};
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 251);
  const std::size_t bytes = values.size() * sizeof(float);
  Buffer map_memory = ctx.allocate(bytes), part_memory = ctx.allocate(bytes);
  ctx.copy_in(map_memory.data(), values.data(), bytes);
  const Tensor map{map_memory.data(), DType::f32, shape};
  const Tensor front = slice_channels(map, 0, 16), back = slice_channels(map, 16, 32);
  EXPECT_TRUE(lies_in(front, map, 0));
  EXPECT_TRUE(lies_in(back, map, 16));
  EXPECT_FALSE(lies_in(back, map, 0));
  const Tensor apart{part_memory.data(), DType::f32, {2, 3, 3, 32}};
  EXPECT_FALSE(lies_in(apart, map, 16));

  const std::vector<std::int64_t> channels{16, 32};
  split(ctx, map, std::vector<Tensor>{front, apart}, channels);
  concat(ctx, std::vector<Tensor>{front, back}, map);
  concat(ctx, std::vector<Tensor>{front, apart}, map);
  std::vector<float> after(values.size());
  ctx.copy_out(after.data(), map.data, bytes);
  EXPECT_EQ(after, values);
  ctx.copy_out(after.data(), apart.data, apart.bytes());
  for (std::size_t pixel = 0; pixel < 18; ++pixel)
    for (std::size_t c = 0; c < 32; ++c)
      EXPECT_EQ(after[pixel * 32 + c], values[pixel * 48 + 16 + c]);

  // A slice that overlaps its target elsewhere would be overwritten while it is read.
  EXPECT_THROW(concat(ctx, std::vector<Tensor>{slice_channels(map, 32, 16), apart}, map), Error);
}

TEST(ConcatErrors, NameTheMismatch) {
  Context ctx = make_context({.backend = BackendKind::ref});
  float memory[64] = {};
  const Tensor y{memory, DType::f32, {1, 2, 2, 5}}, a{memory + 20, DType::f32, {1, 2, 2, 2}},
      b{memory + 40, DType::f32, {1, 2, 2, 4}}, c{memory + 40, DType::f32, {1, 2, 1, 3}};
  const auto message = [&](std::vector<Tensor> x) -> std::string {
    try {
      concat(ctx, x, y);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message({a, b}).find("6 channels together but y has 5"), std::string::npos);
  EXPECT_NE(message({a, c}).find("concat: x is"), std::string::npos);
  EXPECT_NE(message({}).find("concat: 0 parts"), std::string::npos);
}

}  // namespace
}  // namespace lamina::test
