// Softmax and log-softmax.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/softmax.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kernels/suite/peers_dnnl.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

struct Case {
  Shape shape;
  double mean = 0, deviation = 3;
};

struct Family {
  const char* name;
  const Op<softmax_forward_fn>& forward;
  const Op<softmax_backward_fn>& backward;
  bool logarithm;
};
const Family kSoftmax{"softmax", softmax_forward, softmax_backward, false};
const Family kLogSoftmax{"log_softmax", log_softmax_forward, log_softmax_backward, true};

std::string name_of_case(const Family& family, const Case& c) {
  return fmt::format("{}/{}_{}_{}", family.name, dims_of(c.shape), c.mean, c.deviation);
}

// The error of exp(x - max) is that of its argument, which has the size of the argument.
Problem forward_problem(const Family& family, const Case& c, DType dtype) {
  Problem problem{.name = name_of_case(family, c), .pass = "forward", .dtype = dtype};
  Draw draw(problem.name);
  problem.slots = {in("x", c.shape, draw.normal(c.shape, c.mean, c.deviation)),
                   out("y", c.shape, {})};
  problem.round_inputs();
  problem.body = [&family](Call& call) { family.forward(call.ctx(), call["x"], call["y"]); };
  problem.in_place = {{"y", "x"}};
  set_softmax_peer(problem, family.logarithm);
  const Values& x = problem.slot("x").values;
  const Values y = execute_ref(problem).values.at("y");
  const auto length = static_cast<std::size_t>(c.shape.per_sample());
  Values size(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto row = x.begin() + static_cast<std::ptrdiff_t>(i / length * length);
    const double depth = *std::max_element(row, row + static_cast<std::ptrdiff_t>(length)) - x[i];
    size[i] = family.logarithm ? 1 + depth + std::abs(y[i]) : y[i] * (1 + depth);
  }
  problem.slot("y").budget = sum_budget(c.shape.per_sample(), size);
  problem.slot("y").budget.roundings += 4;
  return problem;
}

// From the output as the forward pass would have stored it.
Problem backward_problem(const Family& family, const Case& c, DType dtype) {
  const Values y = rounded(dtype, execute_ref(forward_problem(family, c, dtype)).values.at("y"));
  Problem problem{.name = name_of_case(family, c), .pass = "backward", .dtype = dtype};
  Draw draw(problem.name);
  problem.slots = {
      in("y", c.shape, y), in("dy", c.shape, draw.normal(c.shape)), out("dx", c.shape, {})};
  problem.round_inputs();
  problem.body = [&family](Call& call) {
    family.backward(call.ctx(), call["y"], call["dy"], call["dx"]);
  };
  problem.in_place = {{"dx", "dy"}};
  set_softmax_peer(problem, family.logarithm);
  const Values& dy = problem.slot("dy").values;
  const auto length = static_cast<std::size_t>(c.shape.per_sample());
  Values size(y.size());
  for (std::size_t row = 0; row < y.size(); row += length) {
    double sum = 0;
    for (std::size_t i = row; i < row + length; ++i)
      sum += std::abs(dy[i]) * (family.logarithm ? 1 : y[i]);
    for (std::size_t i = row; i < row + length; ++i) {
      size[i] = family.logarithm ? std::abs(dy[i]) + std::exp(y[i]) * (1 + std::abs(y[i])) * sum
                                 : y[i] * (std::abs(dy[i]) + sum);
    }
  }
  // One probability is 1 then, and in f16 the others are 0.
  problem.slot("dx").sparse = c.deviation > 10;
  problem.slot("dx").budget = sum_budget(c.shape.per_sample(), size);
  problem.slot("dx").budget.roundings += 4;
  return problem;
}

std::vector<Case> cases() {
  std::vector<Case> all{
      {features(1, 2)},
      {features(3, 3)},
      {features(7, 10)},
      {features(64, 10)},
      {features(5, 33)},
      {features(2, 1000)},
      {{2, 3, 5, 7}},
      {{1, 1, 1, 17}},
      {features(5, 10), 1000},
      {features(5, 10), -1000},
      {features(5, 10), 0, 40},
      {features(5, 10), 0, 1e-3},
  };
  for (int i = 0; i < 15; ++i) {
    Draw draw(fmt::format("softmax/random/{}", i));
    all.push_back({features(draw.roll(1, 20), draw.roll(2, 200))});
  }
  return all;
}

void softmax(Table& table) {
  for (const Case& c : cases()) {
    table.check(forward_problem, kSoftmax, c);
    table.check(backward_problem, kSoftmax, c);
  }
}

void log_softmax(Table& table) {
  for (const Case& c : cases()) {
    table.check(forward_problem, kLogSoftmax, c);
    table.check(backward_problem, kLogSoftmax, c);
  }
}

// More rows than a grid has warps.
void more_than_a_grid(Table& table) {
  const Case c{features(kMoreThanAGrid / 32 + 1, 2)};
  table.check(forward_problem(kSoftmax, c, DType::f32));
  table.check(backward_problem(kSoftmax, c, DType::f32));
}

// One class: probability one, whatever the logit.
void one_class(Table& table) {
  for (const Family* family : {&kSoftmax, &kLogSoftmax})
    table.check(forward_problem, *family, Case{features(5, 1)});
}

void match_differences(Table& table) {
  for (const Family* family : {&kSoftmax, &kLogSoftmax}) {
    for (const Shape& shape : {features(3, 5), Shape{2, 2, 1, 3}}) {
      Problem problem{.name = name_of_case(*family, {shape})};
      Draw draw(problem.name);
      problem.slots = {in("x", shape, draw.normal(shape)),
                       in("dy", shape, draw.normal(shape)),
                       out("y", shape, {}),
                       out("dx", shape, {})};
      problem.body = [family](Call& call) {
        family->forward(call.ctx(), call["x"], call["y"]);
        family->backward(call.ctx(), call["y"], call["dy"], call["dx"]);
      };
      table.check_gradients(problem, "y", "dy", {{"x", "dx"}});
    }
  }
}

template <const Family& kFamily>
void check_layer(Table& table, const LayerCase& layer) {
  const Case c{layer.y};
  const std::string name = std::string(kFamily.name) + "/" + layer.name;
  if (!table.wants(name)) return;
  table.check([&](DType dtype) { return as_layer(forward_problem(kFamily, c, dtype), name); });
  table.check([&](DType dtype) { return as_layer(backward_problem(kFamily, c, dtype), name); });
}

}  // namespace

void add_softmax(Suite& suite) {
  suite.add_layer("softmax", check_layer<kSoftmax>);
  suite.add_layer("log_softmax", check_layer<kLogSoftmax>);
  suite.add("Softmax", softmax);
  suite.add("LogSoftmax", log_softmax);
  suite.add("OneClass", one_class);
  suite.add("MoreThanAGrid", more_than_a_grid);
  suite.add_gradients("MatchDifferences", match_differences);
}

}  // namespace lamina::suite
