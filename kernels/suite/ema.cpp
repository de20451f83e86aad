// The moving average of the parameters over a few steps.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/ema.h"

#include <cmath>

#include <fmt/format.h>

#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

constexpr int kSteps = 3;

struct Case {
  std::string name;
  std::int64_t count;
  double decay;
  bool copy = true;
};

Problem make_problem(const Case& c, DType dtype) {
  Problem problem{.name = "ema/" + c.name, .pass = "step", .dtype = dtype};
  Draw draw(problem.name);
  const Shape shape = features(1, c.count);
  const Values start = draw.normal(shape);
  Values size = absolute(start);
  for (int step = 0; step < kSteps; ++step) {
    const Values w = draw.normal(shape);
    for (std::size_t i = 0; i < w.size(); ++i) size[i] += (1 - c.decay) * std::abs(w[i]);
    problem.slots.push_back(wide(in(fmt::format("w{}", step), shape, w)));
  }
  const Budget budget{4 * kSteps, size};
  problem.slots.push_back(wide(inout("ema", shape, start, budget)));
  if (c.copy) problem.slots.push_back(out("copy", shape, budget));
  problem.body = [c](Call& call) {
    for (int step = 0; step < kSteps; ++step)
      ema_step(call.ctx(), c.decay, call[fmt::format("w{}", step)], call["ema"], call["copy"]);
  };
  return problem;
}

void follows(Table& table) {
  for (const Case& c : std::vector<Case>{{"one", 1, 0.9},
                                         {"odd", 333, 0.99},
                                         {"slow", 1000, 0.9999},
                                         {"at_once", 65, 0.0},
                                         {"no_copy", 65, 0.5, false}})
    table.check(make_problem, c);
  table.check(make_problem({"more_than_a_grid", kMoreThanAGrid, 0.9}, DType::f32));
}

void known(Table& table) {
  table.verify("ema/known", "step", [](Context& ctx) {
    Problem problem = make_problem({"known", 1, 0.75}, DType::f32);
    problem.slot("ema").values = {8};
    problem.slot("w0").values = {0};  // 6
    problem.slot("w1").values = {2};  // 5
    problem.slot("w2").values = {5};  // 5
    const double ema = execute(ctx, DType::f32, problem).values.at("ema")[0];
    return ema == 5 ? std::vector<std::string>{}
                    : std::vector{fmt::format("the average is {}, not 5", ema)};
  });
}

}  // namespace

void add_ema(Suite& suite) {
  suite.add("Follows", follows);
  suite.add("Known", known);
}

}  // namespace lamina::suite
