// The sum of two branches.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/add.h"

#include <array>

#include <fmt/format.h>

#include "tests/kernels/harness.h"

namespace lamina::test {
namespace {

constexpr std::array kActs{Act::none, Act::relu, Act::relu6};

std::vector<Shape> shapes() {
  std::vector<Shape> list{{1, 1, 1, 1}, {2, 7, 5, 3}, {3, 1, 1, 5}, {4, 14, 14, 64}};
  Draw draw("add/random");
  for (int i = 0; i < 12; ++i)
    list.push_back({draw.roll(1, 4), draw.roll(1, 9), draw.roll(1, 9), draw.roll(1, 40)});
  return list;
}

Problem forward_problem(Act act, const Shape& shape, const std::string& regime, DType dtype) {
  Problem problem{
      .name = fmt::format("add/{}/{}/{}/forward", name_of(act), shape.to_string(), regime),
      .dtype = dtype};
  Draw draw(problem.name);
  const bool whole = regime == "exact";
  const auto data = [&] { return whole ? draw.whole(shape, -40, 40) : draw.normal(shape); };
  const Values a = data(), b = data();
  Values magnitude(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) magnitude[i] = std::abs(a[i]) + std::abs(b[i]);
  problem.slots = {
      in("a", shape, a), in("b", shape, b), out("y", shape, Budget{whole ? 0.0 : 1.0, magnitude})};
  // At most 6 is one value nearly everywhere when the data are whole numbers.
  problem.slot("y").sparse = true;
  problem.round_inputs();
  problem.body = [act](Call& call) {
    add_forward(call.ctx(), act, call["a"], call["b"], call["y"]);
  };
  problem.in_place = {{"y", "a"}};
  return problem;
}

// who: "da", "db" or "both" are wanted.
Problem backward_problem(Act act, const Shape& shape, const std::string& who, DType dtype) {
  Problem problem{
      .name = fmt::format("add/{}/{}/backward_{}", name_of(act), shape.to_string(), who),
      .dtype = dtype};
  Draw draw(problem.name);
  problem.slots = {in("dy", shape, draw.normal(shape))};
  if (act != Act::none) problem.slots.push_back(in("y", shape, draw.uniform(shape, -2, 8)));
  for (const char* name : {"da", "db"}) {
    if (who == name || who == "both") problem.slots.push_back(out(name, shape, exactly()));
  }
  problem.round_inputs();
  problem.body = [act](Call& call) {
    add_backward(call.ctx(), act, call["y"], call["dy"], call["da"], call["db"]);
  };
  problem.in_place = {{who == "db" ? "db" : "da", "dy"}};
  return problem;
}

class AddKernel : public KernelTest {};
LAMINA_OVER_BACKENDS(AddKernel);

TEST_P(AddKernel, Forward) {
  Table table(GetParam());
  for (Act act : kActs) {
    for (const Shape& shape : shapes()) {
      table.check(forward_problem, act, shape, "exact");
      table.check(forward_problem, act, shape, "real");
    }
  }
}

TEST_P(AddKernel, Backward) {
  Table table(GetParam());
  for (Act act : kActs) {
    for (const Shape& shape : shapes()) {
      for (const char* who : {"da", "db", "both"}) table.check(backward_problem, act, shape, who);
    }
  }
}

TEST(AddGradients, MatchDifferences) {
  for (Act act : {Act::none, Act::relu, Act::tanh}) {
    const Shape shape{2, 3, 5, 2};
    Problem problem{.name = fmt::format("add/{}/difference", name_of(act))};
    Draw draw(problem.name);
    problem.slots = {in("a", shape, draw.normal(shape)),
                     in("b", shape, draw.normal(shape)),
                     in("dy", shape, draw.normal(shape)),
                     out("y", shape, exactly()),
                     out("da", shape, exactly()),
                     out("db", shape, exactly())};
    problem.body = [act](Call& call) {
      add_forward(call.ctx(), act, call["a"], call["b"], call["y"]);
      add_backward(call.ctx(), act, call["y"], call["dy"], call["da"], call["db"]);
    };
    check_gradients(problem, "y", "dy", {{"a", "da"}, {"b", "db"}});
  }
}

}  // namespace
}  // namespace lamina::test
