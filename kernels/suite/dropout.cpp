// Dropout: the mask is the same on every backend, and it is a fair draw.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/dropout.h"

#include <cmath>

#include <fmt/format.h>

#include "engine/core/philox.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

struct Case {
  std::string name;
  Shape shape;
  DropoutOpts opts;
  StepState state;
};

Problem make_problem(const Case& c, DType dtype = DType::f32) {
  Problem problem{
      .name = "dropout/" + c.name,
      .dtype = dtype,
      .passes = {{"forward", {"x", "state"}, {"y"}}, {"backward", {"dy", "state"}, {"dx"}}}};
  Draw draw(problem.name);
  problem.slots = {in("x", c.shape, draw.normal(c.shape, 3)),
                   in("dy", c.shape, draw.normal(c.shape, 3)),
                   // A division, or a product with a reciprocal that is itself rounded. An element
                   // kept on one side only is off by all of its value.
                   out("y", c.shape, {2}),
                   out("dx", c.shape, {2}),
                   state_slot(c.state)};
  problem.round_inputs();
  for (const char* name : {"y", "dx"}) problem.slot(name).sparse = true;
  problem.body = [opts = c.opts](Call& call) {
    if (call["y"]) dropout(call.ctx(), opts, call.state(), call["x"], call["y"]);
    if (call["dx"]) dropout(call.ctx(), opts, call.state(), call["dy"], call["dx"]);
  };
  problem.in_place = {{"y", "x"}, {"dx", "dy"}};
  return problem;
}

void shapes(Table& table) {
  const std::vector<Shape> shapes{{1, 1, 1, 1},
                                  {1, 3, 5, 7},
                                  {3, 1, 1, 5},
                                  features(7, 120),
                                  features(64, 84),
                                  {7, 10, 10, 16},
                                  features(1, 4099)};
  for (const Shape& shape : shapes) {
    for (double p : {0.0, 0.1, 0.5, 0.7, 1.0}) {
      const Case c{fmt::format("{}/p{}", dims_of(shape), p),
                   shape,
                   {.p = p, .seed = 7, .stream = 3},
                   {.step = 11}};
      table.check(make_problem, c);
    }
  }
  table.check(make_problem({"more_than_a_grid", features(1, 4 * kMoreThanAGrid), {.p = 0.5}, {}}));
}

// Seeds and steps wider than 32 bits: the seed enters whole, the step with its low half.
void wide_seeds_and_steps(Table& table) {
  const std::uint64_t wide = 0xFEDCBA9876543210ull;
  const Shape shape = features(3, 35);
  for (const Case& c : {Case{"wide_seed", shape, {.seed = wide, .stream = 0xFFFFFF}, {.step = 5}},
                        Case{"wide_step", shape, {.seed = 1}, {.step = (5LL << 32) + 9}}})
    table.check(make_problem, c);
}

// The draw that a comparison in f32 decides the other way: 0.7f is a multiple of 2^-24 below 0.7.
void draws_next_to_the_threshold(Table& table) {
  const double p = 0.7;
  const auto below = static_cast<std::uint32_t>(std::floor(p * 16777216.0));
  const std::uint64_t seed = 2024;
  const std::int64_t count = 4096;
  const std::string name = "next_to_the_threshold";
  if (!table.wants("dropout/" + name)) return;
  for (std::uint32_t step = 0; step < 100000; ++step) {
    for (std::uint64_t block = 0; block < count / 4; ++block) {
      const Philox4 draw = philox(seed, 0, step, block);
      for (std::uint32_t word : draw.v) {
        if (word >> 8 != below) continue;
        table.check(make_problem,
                    Case{name, features(1, count), {.p = p, .seed = seed}, {.step = step}});
        return;
      }
    }
  }
  fail("{}: no such draw was found.", name);
}

void match_differences(Table& table) {
  Problem problem = make_problem({"difference", {2, 3, 5, 2}, {.p = 0.3, .seed = 5}, {.step = 2}});
  table.check_gradients(problem, "y", "dy", {{"x", "dx"}});
}

void check_layer(Table& table, const LayerCase& layer) {
  const Case c{layer.name, layer.y, std::any_cast<DropoutOpts>(layer.opts), {.step = 3}};
  if (!table.wants("dropout/" + layer.name)) return;
  table.check([&](DType dtype) { return as_layer(make_problem(c, dtype), "dropout/" + c.name); });
}

}  // namespace

void add_dropout(Suite& suite) {
  suite.add_layer("dropout", check_layer);
  suite.add("Shapes", shapes);
  suite.add("WideSeedsAndSteps", wide_seeds_and_steps);
  suite.add("DrawsNextToTheThreshold", draws_next_to_the_threshold);
  suite.add_gradients("MatchDifferences", match_differences);
}

}  // namespace lamina::suite
