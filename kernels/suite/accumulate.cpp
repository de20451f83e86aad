// y += x.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/accumulate.h"

#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

Problem make_problem(const Shape& shape, const std::string& regime, DType dtype) {
  Problem problem{
      .name = "accumulate/" + dims_of(shape) + "/" + regime, .pass = "forward", .dtype = dtype};
  Draw draw(problem.name);
  const bool whole = regime == "exact";
  const auto data = [&] { return whole ? draw.whole(shape, -99, 99) : draw.normal(shape); };
  // One addition, so one rounding.
  problem.slots = {in("x", shape, data()), inout("y", shape, data(), Budget{whole ? 0.0 : 1.0})};
  problem.round_inputs();
  problem.body = [](Call& call) { accumulate(call.ctx(), call["x"], call["y"]); };
  return problem;
}

void shapes(Table& table) {
  std::vector<Shape> shapes{{1, 1, 1, 1},
                            {1, 3, 5, 7},
                            {3, 1, 1, 5},
                            {2, 7, 5, 3},
                            {7, 28, 28, 6},
                            {64, 28, 28, 6},
                            {64, 1, 1, 120}};
  Draw draw("accumulate/random");
  for (int i = 0; i < 20; ++i)
    shapes.push_back({draw.roll(1, 5), draw.roll(1, 9), draw.roll(1, 9), draw.roll(1, 40)});
  for (const Shape& shape : shapes) {
    table.check(make_problem, shape, "exact");
    table.check(make_problem, shape, "real");
  }
}

void to_slices(Table& table) {
  for (const Shape& shape :
       {Shape{1, 1, 1, 16}, {3, 5, 7, 32}, {2, 14, 14, 48}, {1, 9, 9, 208}, {8, 28, 28, 64}})
    table.check([&](DType dtype) { return sliced(make_problem(shape, "real", dtype), {"y"}); });
  const Shape large{2, 25, 43, 144};  // more rows than a grid takes at a time
  table.check(sliced(make_problem(large, "real", DType::f32), {"y"}));
}

}  // namespace

void add_accumulate(Suite& suite) {
  suite.add("Shapes", shapes);
  suite.add("ToSlices", to_slices);
}

}  // namespace lamina::suite
