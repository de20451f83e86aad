// Fully connected layer: all three passes of a plan in one problem.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear.h"

#include <array>

#include "kernels/cpu/linear_impl.h"
#include "kernels/suite/fused_act.h"
#include "kernels/suite/peers_dnnl.h"
#include "kernels/suite/product_layers.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

struct Case {
  std::string name;
  LinearDesc desc;
  std::int64_t pixels = 1;  // of y as a map
};

std::vector<Case> ragged_cases() {
  return {
      {"one_of_everything", {.n = 1, .in = 1, .k = 1}},
      {"one_sample", {.n = 1, .in = 7, .k = 5}},
      {"one_input", {.n = 5, .in = 1, .k = 3}},
      {"one_output", {.n = 3, .in = 17, .k = 1}},
      {"odd", {.n = 7, .in = 13, .k = 5}},
      {"around_a_vector", {.n = 9, .in = 33, .k = 17}},
      {"long_rows", {.n = 3, .in = 1031, .k = 3}},
      {"many_outputs", {.n = 2, .in = 3, .k = 131}},
      {"many_samples", {.n = 4001, .in = 3, .k = 5}},
      {"map", {.n = 3, .in = 7, .k = 12, .act = Act::relu}, 4},
      {"no_bias", {.n = 5, .in = 9, .k = 7, .bias = false}},
      {"no_bias_relu", {.n = 5, .in = 9, .k = 7, .bias = false, .act = Act::relu}},
      {"relu", {.n = 5, .in = 9, .k = 7, .act = Act::relu}},
      {"relu6", {.n = 5, .in = 9, .k = 7, .act = Act::relu6}},
      {"tanh", {.n = 5, .in = 9, .k = 7, .act = Act::tanh}},
      {"sigmoid", {.n = 5, .in = 9, .k = 7, .act = Act::sigmoid}},
  };
}

// The fully connected layers of the first five nets.
std::vector<Case> layer_cases(std::int64_t batch) {
  const auto fc = [&](std::int64_t in, std::int64_t k, Act act) {
    return LinearDesc{.n = batch, .in = in, .k = k, .act = act};
  };
  std::vector<Case> cases{
      {"lenet_bn/fc1", fc(400, 120, Act::relu)},
      {"lenet_bn/fc2", fc(120, 84, Act::relu)},
      {"lenet_bn/fc3", fc(84, 10, Act::none)},
      {"lenet5/net.9", fc(120, 84, Act::tanh)},
      {"lenet5/net.11", fc(84, 10, Act::none)},
      {"lenet_fashion/fc.0", fc(256, 120, Act::sigmoid)},
      {"lenet_fashion/fc.2", fc(120, 84, Act::sigmoid)},
      {"lenet_fashion/fc.4", fc(84, 10, Act::none)},
      {"fc2_mnist/network.0", fc(784, 8, Act::relu)},
      {"fc2_mnist/network.2", fc(8, 8, Act::relu)},
      {"fc2_mnist/network.4", fc(8, 10, Act::none)},
      {"cnn_mnist/fc1", fc(96, 50, Act::relu)},
      {"cnn_mnist/fc2", fc(50, 10, Act::none)},
  };
  for (Case& c : cases) c.name += "@" + std::to_string(batch);
  return cases;
}

std::vector<Case> random_cases(int count) {
  constexpr std::array kActs{Act::none, Act::relu, Act::relu6};
  std::vector<Case> cases;
  for (int i = 0; i < count; ++i) {
    const std::string name = "random/" + std::to_string(i);
    Draw draw("linear/" + name);
    cases.push_back({name,
                     {.n = draw.roll(1, 70),
                      .in = draw.roll(1, 300),
                      .k = draw.roll(1, 70),
                      .bias = draw.roll(0, 3) > 0,
                      .act = kActs[static_cast<std::size_t>(draw.roll(0, 2))]}});
  }
  return cases;
}

// Bias and activation may come after the library, to what it has stored.
int stores_of(const LinearDesc& d) { return d.bias || d.act != Act::none ? 1 : 0; }

Problem make_problem(const Case& c, const std::string& regime, DType dtype = DType::f32) {
  const bool whole = regime == "exact";
  Problem problem{.name = "linear/" + c.name + "/" + regime,
                  .dtype = dtype,
                  .passes = kPasses,
                  .aligned_on_cuda = true};
  Draw draw(problem.name);
  // In 16 bits the sums have to stay small, see below.
  const std::int64_t largest = dtype == DType::f32 ? 3 : 1;
  const auto data = [&](const Shape& shape) {
    return whole ? draw.whole(shape, -largest, largest) : draw.normal(shape);
  };
  const LinearDesc& d = c.desc;
  const Shape x = features(d.n, d.in), w = features(d.k, d.in), b = features(1, d.k),
              y{d.n, 1, c.pixels, d.k / c.pixels};
  problem.slots = {in("x", x, data(x)),
                   in("w", w, data(w)),
                   gradient_slot(d.act, y, data(y)),
                   out("y", y, {.stores = stores_of(d)}),
                   out("dx", x, exactly()),
                   out("dw", w, exactly())};
  if (d.bias) {
    // A negative bias in front of a ReLU could leave nothing to compare.
    const bool rectified = d.act == Act::relu || d.act == Act::relu6;
    problem.slots.push_back(in("b", b, rectified ? absolute(data(b)) : data(b)));
    problem.slots.push_back(out("db", b, exactly()));
  }
  if (d.act != Act::none) problem.slots.push_back(in("saved", y, saved_output(d.act, draw, y)));
  problem.round_inputs();
  // Ones and a bias of one: as far as every whole number is in the dtype, y is in it.
  const std::int64_t sum = d.in + 1;
  if (whole && ((dtype == DType::bf16 && sum > 256) || (dtype == DType::f16 && sum > 2048)))
    problem.unfit = "sums not representable";
  const std::string output = output_for_backward(d.act, regime);
  problem.body = [d, output](Call& call) { run_passes(call, make_linear, d, output); };
  if (dtype == DType::f32 && cpu::linear_is_own(d)) {
    problem.peer_name = dnnl_name();
    problem.peer = [d, output](Call& call) { run_passes(call, linear_by_dnnl, d, output); };
  }
  return problem;
}

Problem real_problem(const Case& c, DType dtype) {
  Problem problem = make_problem(c, "real", dtype);
  Case bare = c;
  bare.desc.act = Act::none;
  const auto magnitude = execute_ref(absolute(make_problem(bare, "real", dtype))).values;
  const LinearDesc& d = c.desc;
  problem.slot("y").budget = sum_budget(d.in, magnitude.at("y"));
  if (d.act == Act::tanh || d.act == Act::sigmoid) problem.slot("y").budget.roundings += 8;
  problem.slot("y").budget.stores = stores_of(d);
  problem.slot("dx").budget = gradient_budget(d.act, d.k, magnitude.at("dx"));
  problem.slot("dw").budget = gradient_budget(d.act, d.n, magnitude.at("dw"));
  if (d.bias) problem.slot("db").budget = gradient_budget(d.act, d.n, magnitude.at("db"));
  return problem;
}

void ragged_shapes(Table& table) {
  for (const Case& c : ragged_cases()) {
    if (stays_exact(c.desc.act)) table.check(make_problem, c, "exact");
    table.check(real_problem, c);
  }
}

void random_shapes(Table& table) {
  for (const Case& c : random_cases(40)) {
    table.check(make_problem, c, "exact");
    table.check(real_problem, c);
  }
}

void first_nets(Table& table) {
  for (std::int64_t batch : {7, 64}) {
    for (const Case& c : layer_cases(batch)) {
      if (stays_exact(c.desc.act)) table.check(make_problem, c, "exact");
      table.check(real_problem, c);
    }
  }
}

void match_differences(Table& table) {
  for (const Case& c : ragged_cases()) {
    if (c.desc.in > 100) continue;
    std::vector<GradientPair> pairs{{"x", "dx"}, {"w", "dw"}};
    if (c.desc.bias) pairs.push_back({"b", "db"});
    table.check_gradients(make_problem(c, "difference"), "y", "dy", pairs);
  }
}

}  // namespace

void add_linear(Suite& suite) {
  suite.add_layer("linear", check_linear_layer);
  suite.add("RaggedShapes", ragged_shapes);
  suite.add("RandomShapes", random_shapes);
  suite.add("FirstNets", first_nets);
  suite.add_gradients("MatchDifferences", match_differences);
}

}  // namespace lamina::suite
