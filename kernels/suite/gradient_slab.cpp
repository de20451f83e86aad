// What happens to gradients before the optimizer: sums over batches, clipping by their norm, and
// the look for overflows.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gradient_slab.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "kernels/optimizer.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

constexpr std::int64_t kCounts[] = {1, 3, 65, 1000, 8191, 61750};

Problem sum_problem(std::int64_t count, DType dtype) {
  Problem problem{.name = fmt::format("sum_gradients/{}", count), .pass = "sum", .dtype = dtype};
  Draw draw(problem.name);
  const Shape shape = features(1, count);
  Values size(static_cast<std::size_t>(count), 0.0);
  for (int batch = 0; batch < 3; ++batch) {
    const Values dw = rounded(dtype, draw.normal(shape));
    for (std::size_t i = 0; i < dw.size(); ++i) size[i] += std::abs(dw[i]);
    problem.slots.push_back(in(fmt::format("dw{}", batch), shape, dw));
  }
  problem.slots.push_back(wide(out("sum", shape, {3, size})));
  problem.body = [](Call& call) {
    for (int batch = 0; batch < 3; ++batch)
      sum_gradients(call.ctx(), batch == 0, call[fmt::format("dw{}", batch)], call["sum"]);
  };
  return problem;
}

void sums(Table& table) {
  for (std::int64_t count : kCounts) table.check(sum_problem, count);
  table.check(sum_problem(kMoreThanAGrid, DType::f32));
}

struct ClipCase {
  std::string name;
  std::int64_t count;  // in each of two slabs
  double max_norm;
  float loss_scale = 1;
};

// Two slabs that are clipped together; a step of plain SGD shows the factor.
Problem clip_problem(const ClipCase& c, DType dtype) {
  Problem problem{.name = "clip_gradients/" + c.name, .pass = "clip", .dtype = dtype};
  Draw draw(problem.name);
  const Shape shape = features(1, c.count);
  const double size = static_cast<double>(c.loss_scale);
  const Values dw0 = rounded(dtype, draw.normal(shape, 0, size)),
               dw1 = rounded(dtype, draw.normal(shape, 1, size));
  Values w_size;
  for (double g : dw0) w_size.push_back(std::abs(g) / size);
  problem.slots = {state_slot({.lr = 1.0f, .loss_scale = c.loss_scale}, Role::inout),
                   in("dw0", shape, dw0),
                   in("dw1", shape, dw1),
                   wide(inout("w", shape, Values(dw0.size(), 0.0), {4, w_size})),
                   {.name = "norm2",
                    .role = Role::out,
                    .dtype = DType::f64,
                    .shape = features(1, 1),
                    .budget = {1, {}}}};
  problem.body = [c](Call& call) {
    Context& ctx = call.ctx();
    clip_gradients(ctx, {c.max_norm, true, false}, call.state(), call["dw0"], call["norm2"]);
    clip_gradients(ctx, {c.max_norm, false, true}, call.state(), call["dw1"], call["norm2"]);
    sgd_step(ctx, {}, call.state(), call["w"], call["dw0"], {}, {});
  };
  return problem;
}

void clips(Table& table) {
  for (const ClipCase& c : std::vector<ClipCase>{{"one", 1, 0.01},
                                                 {"odd", 777, 1},
                                                 {"generous", 777, 1e6},
                                                 {"scaled", 1000, 1, 1024},
                                                 {"large", 61750, 5}})
    table.check(clip_problem, c);
  table.check(clip_problem({"more_than_a_grid", kMoreThanAGrid, 5}, DType::f32));
}

// Two gradients that are not finite, the first at `bad`.
Problem overflow_problem(std::int64_t count, std::int64_t bad, DType dtype) {
  Problem problem{
      .name = fmt::format("find_overflow/{}_of_{}", bad, count), .pass = "find", .dtype = dtype};
  Draw draw(problem.name);
  Values dw = rounded(dtype, draw.normal(features(1, count)));
  dw.back() = std::numeric_limits<double>::infinity();
  dw[static_cast<std::size_t>(bad)] = -std::numeric_limits<double>::infinity();
  problem.slots = {state_slot({.step = 3}, Role::inout), in("dw", features(1, count), dw)};
  problem.slot("state").sparse = true;
  problem.body = [](Call& call) { find_overflow(call.ctx(), call.state(), call["dw"], 5); };
  return problem;
}

void overflows(Table& table) {
  for (const auto& [count, bad] :
       {std::pair<std::int64_t, std::int64_t>{1, 0}, {65, 0}, {65, 40}, {1000, 999}, {8191, 300}})
    table.check(overflow_problem, count, bad);
}

// Numbers worked out by hand.
void known(Table& table) {
  table.verify("clip_gradients/known", "clip", [](Context& ctx) {
    Problem problem = clip_problem({"known", 2, 2.5}, DType::f32);
    problem.slot("dw0").values = {3, 0};
    problem.slot("dw1").values = {0, -4};
    const auto values = execute(ctx, DType::f32, problem).values;
    std::vector<std::string> failures;
    if (values.at("norm2")[0] != 25)
      failures.push_back(fmt::format("the square of the norm is {}", values.at("norm2")[0]));
    if (!(std::abs(values.at("w")[0] + 1.5) < 1e-6))
      failures.push_back(fmt::format("w is {}, not -1.5", values.at("w")[0]));
    return failures;
  });
  // In the middle, and behind what the threads of a grid see in their first round.
  for (const std::int64_t bad : {kMoreThanAGrid / 2, kMoreThanAGrid - 2}) {
    table.verify(fmt::format("find_overflow/{}", bad), "find", [bad](Context& ctx) {
      Problem problem{.name = "find_overflow/known", .pass = "find", .dtype = DType::f32};
      Values dw(kMoreThanAGrid, 1.0);
      dw.back() = std::numeric_limits<double>::infinity();
      dw[static_cast<std::size_t>(bad)] = std::numeric_limits<double>::quiet_NaN();
      problem.slots = {state_slot({}, Role::inout), in("dw", features(1, kMoreThanAGrid), dw)};
      problem.body = [](Call& call) { find_overflow(call.ctx(), call.state(), call["dw"], 5); };
      const auto bytes = execute(ctx, DType::f32, problem).bytes.at("state");
      const auto* const state = reinterpret_cast<const StepState*>(bytes.data());
      std::vector<std::string> failures;
      if (state->overflow_at != 5 + bad)
        failures.push_back(fmt::format("the first is {}, not {}", state->overflow_at, 5 + bad));
      return failures;
    });
  }
}

}  // namespace

void add_gradient_slab(Suite& suite) {
  suite.add("Sums", sums);
  suite.add("Clips", clips);
  suite.add("Overflows", overflows);
  suite.add("Known", known);
}

}  // namespace lamina::suite
