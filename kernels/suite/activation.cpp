// Pointwise activations.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/activation.h"

#include <array>
#include <limits>

#include <fmt/format.h>

#include "kernels/suite/peers_dnnl.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

constexpr std::array kActs{Act::none, Act::relu, Act::relu6, Act::tanh, Act::sigmoid};

bool stays_exact(Act act) { return act != Act::tanh && act != Act::sigmoid; }

// exp and tanh are polynomials on vectors: a few roundings each.
Budget forward_budget(Act act) { return stays_exact(act) ? exactly() : Budget{8}; }

std::string name_of_case(Act act, const Shape& shape) {
  return fmt::format("activation/{}/{}", name_of(act), dims_of(shape));
}

Problem forward_problem(Act act, const Shape& shape, DType dtype) {
  Problem problem{.name = name_of_case(act, shape), .pass = "forward", .dtype = dtype};
  Draw draw(problem.name);
  problem.slots = {in("x", shape, draw.normal(shape, 1, 4)), out("y", shape, forward_budget(act))};
  problem.round_inputs();
  problem.body = [act](Call& call) { act_forward(call.ctx(), act, call["x"], call["y"]); };
  problem.in_place = {{"y", "x"}};
  set_activation_peer(problem, act);
  return problem;
}

// From the output as the forward pass would have stored it.
Problem backward_problem(Act act, const Problem& forward) {
  const Shape& shape = forward.slot("y").shape;
  const Values y = rounded(forward.dtype, execute_ref(forward).values.at("y"));
  Problem problem{.name = name_of_case(act, shape), .pass = "backward", .dtype = forward.dtype};
  Draw draw(problem.name + "/backward");
  const Values dy = rounded(problem.dtype, draw.normal(shape));
  // 1 - y*y is small where y is near 1, but its error is not.
  Values magnitude(dy.size());
  for (std::size_t i = 0; i < dy.size(); ++i) magnitude[i] = std::abs(dy[i]) * (1 + y[i] * y[i]);
  const Budget budget = stays_exact(act) ? exactly() : Budget{4, magnitude};
  problem.slots = {in("y", shape, y), in("dy", shape, dy), out("dx", shape, budget)};
  problem.body = [act](Call& call) {
    act_backward(call.ctx(), act, call["y"], call["dy"], call["dx"]);
  };
  problem.in_place = {{"dx", "dy"}};
  set_activation_peer(problem, act);
  return problem;
}

void shapes(Table& table) {
  std::vector<Shape> shapes{{1, 1, 1, 1},
                            {1, 3, 5, 7},
                            {3, 7, 1, 5},
                            {7, 28, 28, 6},
                            {64, 10, 10, 16},
                            features(7, 120),
                            features(64, 84)};
  Draw draw("activation/random");
  for (int i = 0; i < 10; ++i)
    shapes.push_back({draw.roll(1, 5), draw.roll(1, 9), draw.roll(1, 9), draw.roll(1, 40)});
  for (Act act : kActs) {
    for (const Shape& shape : shapes) {
      table.check(forward_problem, act, shape);
      table.check(
          [&](DType dtype) { return backward_problem(act, forward_problem(act, shape, dtype)); });
    }
  }
}

void more_than_a_grid(Table& table) {
  const Problem forward = forward_problem(Act::relu, features(1, kMoreThanAGrid), DType::f32);
  table.check(forward);
  table.check(backward_problem(Act::relu, forward));
}

// Far out the functions are flat, and at the corners the slope is PyTorch's choice: 0.
void edges_of_the_range(Table& table) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Values edges{-infinity, -1e30, -200, -104, -90, -20, -9, -1e-3, -1e-30, 0,
                     1e-30,     1e-3,  0.5,  5.5,  6,   6.5, 9,  20,    90,     infinity};
  for (Act act : kActs) {
    const Shape shape = features(1, static_cast<std::int64_t>(edges.size()));
    const auto forward = [&](DType dtype) {
      Problem problem = forward_problem(act, shape, dtype);
      problem.name = fmt::format("activation/{}/edges", name_of(act));
      problem.slot("x").values = edges;
      problem.round_inputs();
      return problem;
    };
    table.check(forward);
    if (act == Act::none) continue;
    table.check([&](DType dtype) {
      Problem problem = backward_problem(act, forward(dtype));
      problem.name = fmt::format("activation/{}/edges", name_of(act));
      if (!stays_exact(act)) problem.slot("dx").budget.magnitude = {4.0};
      return problem;
    });
  }
}

void match_differences(Table& table) {
  for (Act act : kActs) {
    const Shape shape{2, 3, 5, 7};
    Problem problem{.name = name_of_case(act, shape)};
    Draw draw(problem.name);
    problem.slots = {in("x", shape, draw.normal(shape, 1, 3)),
                     in("dy", shape, draw.normal(shape)),
                     out("y", shape, {}),
                     out("dx", shape, {})};
    problem.body = [act](Call& call) {
      act_forward(call.ctx(), act, call["x"], call["y"]);
      act_backward(call.ctx(), act, call["y"], call["dy"], call["dx"]);
    };
    table.check_gradients(problem, "y", "dy", {{"x", "dx"}});
  }
}

void check_layer(Table& table, const LayerCase& layer) {
  const Act act = std::any_cast<Act>(layer.opts);
  const std::string name = "activation/" + layer.name;
  if (!table.wants(name)) return;
  const auto forward = [&](DType dtype) { return forward_problem(act, layer.y, dtype); };
  table.check([&](DType dtype) { return as_layer(forward(dtype), name); });
  table.check([&](DType dtype) { return as_layer(backward_problem(act, forward(dtype)), name); });
}

}  // namespace

void add_activation(Suite& suite) {
  suite.add_layer("activation", check_layer);
  suite.add("Shapes", shapes);
  suite.add("EdgesOfTheRange", edges_of_the_range);
  suite.add("MoreThanAGrid", more_than_a_grid);
  suite.add_gradients("MatchDifferences", match_differences);
}

}  // namespace lamina::suite
