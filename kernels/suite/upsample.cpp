// Bilinear resize.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/upsample.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kernels/suite/peers_dnnl.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

struct Case {
  Shape x;
  std::int64_t p, q;
};

Problem make_problem(const Case& c, const std::string& regime, DType dtype = DType::f32) {
  Problem problem{.name = fmt::format("upsample/{}_to_{}x{}/{}", dims_of(c.x), c.p, c.q, regime),
                  .dtype = dtype,
                  .passes = {{"forward", {"x"}, {"y"}}, {"backward", {"dy"}, {"dx"}}}};
  Draw draw(problem.name);
  const Shape y{c.x.n, c.p, c.q, c.x.c};
  const auto data = [&](const Shape& shape) {
    return regime == "exact" ? draw.whole(shape) : draw.normal(shape);
  };
  problem.slots = {in("x", c.x, data(c.x)),
                   in("dy", y, data(y)),
                   out("y", y, exactly()),
                   out("dx", c.x, exactly())};
  problem.round_inputs();
  set_upsample_peer(problem);
  // Going down by more than two, whole rows are never looked at.
  problem.slot("dx").sparse = 2 * c.p < c.x.h || 2 * c.q < c.x.w;
  problem.body = [](Call& call) {
    if (call["y"]) upsample_forward(call.ctx(), call["x"], call["y"]);
    if (call["dx"]) upsample_backward(call.ctx(), call["dy"], call["dx"]);
  };
  return problem;
}

Problem real_problem(const Case& c, DType dtype) {
  Problem problem = make_problem(c, "real", dtype);
  const auto largest = [&](const char* name) {
    const Values sizes = absolute(problem.slot(name).values);
    return *std::max_element(sizes.begin(), sizes.end());
  };
  // A coordinate in f32 is off by a rounding or two of its size, and the weights with it, so each
  // term's error grows with the input's size. An input pixel gathers from about P/H * Q/W outputs.
  const double coordinates = static_cast<double>(std::max(c.x.h, c.x.w));
  const double fan = std::max(1.0, static_cast<double>(c.p) / static_cast<double>(c.x.h)) *
                     std::max(1.0, static_cast<double>(c.q) / static_cast<double>(c.x.w));
  problem.slot("y").budget = {8 + 2 * coordinates, {largest("x")}};
  problem.slot("dx").budget = {8 + 2 * coordinates, {2 * fan * largest("dy")}};
  return problem;
}

// Ratios whose coordinates are dyadic: every weight and every sum is exact.
std::vector<Case> dyadic_cases() {
  std::vector<Case> cases{
      {{1, 1, 1, 1}, 1, 1},
      {{1, 1, 1, 3}, 8, 4},
      {{2, 4, 4, 3}, 8, 8},
      {{1, 5, 7, 3}, 10, 28},
      {{3, 8, 6, 5}, 4, 3},
      {{2, 28, 28, 1}, 7, 7},
      {{1, 7, 5, 2}, 7, 5},
      {{1, 28, 28, 1}, 224, 224},
      {{7, 28, 28, 1}, 32, 32},
      {{64, 28, 28, 1}, 32, 32},
      {{1, 8, 8, 17}, 2, 32},
  };
  return cases;
}

std::vector<Case> other_cases() {
  std::vector<Case> cases{
      {{1, 3, 3, 1}, 5, 5},
      {{2, 5, 7, 3}, 7, 3},
      {{1, 28, 28, 1}, 96, 96},
      {{1, 7, 11, 5}, 3, 30},
      {{1, 1, 9, 2}, 5, 1},
      {{1, 13, 1, 3}, 1, 7},
      {{2, 3, 3, 33}, 10, 10},
      {{1, 521, 520, 2}, 520, 522},  // more than a grid, either way
  };
  for (int i = 0; i < 30; ++i) {
    Draw draw(fmt::format("upsample/random/{}", i));
    cases.push_back({{draw.roll(1, 4), draw.roll(1, 17), draw.roll(1, 17), draw.roll(1, 9)},
                     draw.roll(1, 40),
                     draw.roll(1, 40)});
  }
  return cases;
}

void dyadic_ratios(Table& table) {
  for (const Case& c : dyadic_cases()) {
    table.check(make_problem, c, "exact");
    table.check(real_problem, c);
  }
}

void other_ratios(Table& table) {
  for (const Case& c : other_cases()) table.check(real_problem, c);
}

void match_differences(Table& table) {
  for (const Case& c :
       {Case{{2, 3, 5, 2}, 7, 4}, Case{{1, 4, 4, 1}, 9, 9}, Case{{1, 7, 6, 2}, 3, 2}}) {
    table.check_gradients(make_problem(c, "difference"), "y", "dy", {{"x", "dx"}});
  }
}

void check_layer(Table& table, const LayerCase& layer) {
  const Case c{layer.x[0], layer.y.h, layer.y.w};
  const std::string name = "upsample/" + layer.name;
  if (!table.wants(name)) return;
  table.check([&](DType dtype) { return as_layer(real_problem(c, dtype), name); });
}

}  // namespace

void add_upsample(Suite& suite) {
  suite.add_layer("upsample", check_layer);
  suite.add("DyadicRatios", dyadic_ratios);
  suite.add("OtherRatios", other_ratios);
  suite.add_gradients("MatchDifferences", match_differences);
}

}  // namespace lamina::suite
