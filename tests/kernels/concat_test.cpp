// Channels side by side, and apart again.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/concat.h"

#include <fmt/format.h>

#include "tests/kernels/harness.h"

namespace lamina::test {
namespace {

struct Case {
  std::int64_t n, h, w;
  std::vector<std::int64_t> channels;
};

std::string name_of_case(const Case& c, const char* op) {
  std::string name = fmt::format("{}/{}x{}x{}", op, c.n, c.h, c.w);
  for (std::int64_t channels : c.channels) name += fmt::format("_{}", channels);
  return name;
}

Shape whole_of(const Case& c) {
  Shape shape{c.n, c.h, c.w, 0};
  for (std::int64_t channels : c.channels) shape.c += channels;
  return shape;
}

Problem concat_problem(const Case& c, DType dtype) {
  Problem problem{.name = name_of_case(c, "concat"), .dtype = dtype};
  Draw draw(problem.name);
  for (std::size_t i = 0; i < c.channels.size(); ++i) {
    const Shape part{c.n, c.h, c.w, c.channels[i]};
    problem.slots.push_back(in(fmt::format("x{}", i), part, draw.normal(part)));
  }
  problem.slots.push_back(out("y", whole_of(c), exactly()));
  problem.round_inputs();
  problem.body = [count = c.channels.size()](Call& call) {
    std::vector<Tensor> x;
    for (std::size_t i = 0; i < count; ++i) x.push_back(call[fmt::format("x{}", i)]);
    concat(call.ctx(), x, call["y"]);
  };
  return problem;
}

// skipped: the number of a part that nobody wants; -1: none.
Problem split_problem(const Case& c, int skipped, DType dtype) {
  Problem problem{.name = fmt::format("{}/without_{}", name_of_case(c, "split"), skipped),
                  .dtype = dtype};
  Draw draw(problem.name);
  problem.slots = {in("dy", whole_of(c), draw.normal(whole_of(c)))};
  for (std::size_t i = 0; i < c.channels.size(); ++i) {
    if (static_cast<int>(i) == skipped) continue;
    const Shape part{c.n, c.h, c.w, c.channels[i]};
    problem.slots.push_back(out(fmt::format("dx{}", i), part, exactly()));
  }
  problem.round_inputs();
  problem.body = [channels = c.channels](Call& call) {
    std::vector<Tensor> dx;
    for (std::size_t i = 0; i < channels.size(); ++i) dx.push_back(call[fmt::format("dx{}", i)]);
    split(call.ctx(), call["dy"], dx, channels);
  };
  return problem;
}

std::vector<Case> cases() {
  std::vector<Case> list{{1, 1, 1, {1}},
                         {2, 3, 5, {1, 1}},
                         {1, 7, 7, {5, 3, 1}},
                         {2, 14, 14, {64, 128, 32, 32}},
                         {1, 28, 28, {8, 16}},
                         {3, 5, 4, {24, 7, 8}}};
  Draw draw("concat/random");
  for (int i = 0; i < 12; ++i) {
    Case c{draw.roll(1, 3), draw.roll(1, 9), draw.roll(1, 9), {}};
    for (std::int64_t parts = draw.roll(1, 5); parts > 0; --parts)
      c.channels.push_back(draw.roll(1, 20));
    list.push_back(c);
  }
  return list;
}

class ConcatKernel : public KernelTest {};
LAMINA_OVER_BACKENDS(ConcatKernel);

TEST_P(ConcatKernel, Concat) {
  Table table(GetParam());
  for (const Case& c : cases()) table.check(concat_problem, c);
}

TEST_P(ConcatKernel, Split) {
  Table table(GetParam());
  for (const Case& c : cases()) {
    table.check(split_problem, c, -1);
    if (c.channels.size() > 1)
      table.check(split_problem, c, static_cast<int>(c.channels.size()) / 2);
  }
}

TEST_P(ConcatKernel, Slices) {
  Table table(GetParam());
  for (const Case& c : {Case{1, 1, 1, {16}}, {2, 5, 3, {32, 16, 48}}, {2, 14, 14, {64, 128}}}) {
    for (const std::vector<std::string>& names :
         {std::vector<std::string>{"y"}, {"x0"}, {"x0", "y"}})
      table.check([&](DType dtype) { return sliced(concat_problem(c, dtype), names); });
    for (const std::vector<std::string>& names :
         {std::vector<std::string>{"dy"}, {"dx0"}, {"dx0", "dy"}})
      table.check([&](DType dtype) { return sliced(split_problem(c, -1, dtype), names); });
  }
}

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
