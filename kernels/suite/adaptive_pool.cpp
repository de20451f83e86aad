// Average pooling to a given size.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/adaptive_pool.h"

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
  Problem problem{
      .name = fmt::format("adaptive_pool/{}_to_{}x{}/{}", dims_of(c.x), c.p, c.q, regime),
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
  set_adaptive_pool_peer(problem);
  problem.body = [](Call& call) {
    if (call["y"]) adaptive_avg_pool_forward(call.ctx(), call["x"], call["y"]);
    if (call["dx"]) adaptive_avg_pool_backward(call.ctx(), call["dy"], call["dx"]);
  };
  return problem;
}

Problem real_problem(const Case& c, DType dtype) {
  Problem problem = make_problem(c, "real", dtype);
  const auto magnitude = execute_ref(absolute(problem)).values;
  // Windows are two wider than the ratio of the sizes at most: a begun row or column at both ends.
  const auto reach = [](std::int64_t from, std::int64_t to) { return from / to + 2; };
  problem.slot("y").budget = sum_budget(reach(c.x.h, c.p) * reach(c.x.w, c.q), magnitude.at("y"));
  problem.slot("dx").budget = sum_budget(reach(c.p, c.x.h) * reach(c.q, c.x.w), magnitude.at("dx"));
  return problem;
}

// Every window has a power of two of elements, so that dividing by it is exact.
std::vector<Case> exact_cases() {
  return {
      {{1, 1, 1, 1}, 1, 1},
      {{2, 4, 8, 3}, 1, 1},
      {{3, 4, 4, 131}, 1, 1},
      {{2, 6, 7, 5}, 6, 7},   // a copy
      {{2, 7, 7, 64}, 7, 7},  // a copy, in packs
      {{1, 8, 4, 17}, 4, 4},
      {{2, 3, 1, 8}, 6, 4},  // up: every window is one element
      {{1, 6, 4, 2}, 4, 3},  // overlapping windows of two
      {{2, 16, 16, 40}, 1, 2},
      {{1, 64, 128, 5}, 1, 1},  // 8192 elements in one window
  };
}

std::vector<Case> real_cases() {
  std::vector<Case> cases{
      {{2, 7, 7, 512}, 1, 1},
      {{7, 7, 7, 1280}, 1, 1},
      {{2, 14, 14, 96}, 7, 7},
      {{3, 13, 13, 64}, 6, 6},
      {{2, 5, 5, 64}, 7, 7},
      {{1, 3, 11, 33}, 7, 4},
      {{2, 9, 5, 260}, 4, 7},
      {{1, 56, 56, 24}, 1, 1},
      {{1, 1, 9, 2}, 5, 1},
  };
  for (int i = 0; i < 30; ++i) {
    Draw draw(fmt::format("adaptive_pool/random/{}", i));
    cases.push_back({{draw.roll(1, 4), draw.roll(1, 17), draw.roll(1, 17), draw.roll(1, 40)},
                     draw.roll(1, 20),
                     draw.roll(1, 20)});
  }
  return cases;
}

void exact_windows(Table& table) {
  for (const Case& c : exact_cases()) {
    table.check(make_problem, c, "exact");
    table.check(real_problem, c);
  }
}

void other_windows(Table& table) {
  for (const Case& c : real_cases()) table.check(real_problem, c);
}

void match_differences(Table& table) {
  for (const Case& c : {Case{{2, 3, 5, 2}, 7, 4},
                        Case{{1, 4, 4, 1}, 9, 9},
                        Case{{1, 7, 6, 2}, 3, 2},
                        Case{{2, 3, 4, 3}, 1, 1}}) {
    table.check_gradients(make_problem(c, "difference"), "y", "dy", {{"x", "dx"}});
  }
}

void check_layer(Table& table, const LayerCase& layer) {
  const Case c{layer.x[0], layer.y.h, layer.y.w};
  const std::string name = "adaptive_pool/" + layer.name;
  if (!table.wants(name)) return;
  table.check([&](DType dtype) { return as_layer(real_problem(c, dtype), name); });
}

}  // namespace

void add_adaptive_pool(Suite& suite) {
  suite.add_layer("adaptive_pool", check_layer);
  suite.add("ExactWindows", exact_windows);
  suite.add("OtherWindows", other_windows);
  suite.add_gradients("MatchDifferences", match_differences);
}

}  // namespace lamina::suite
