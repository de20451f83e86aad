// The sum of two branches.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/add.h"

#include <array>
#include <cmath>

#include <fmt/format.h>

#include "kernels/suite/peers_dnnl.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

// The last one rounds, and twice through it is not once.
constexpr std::array kActs{Act::none, Act::relu, Act::relu6, Act::tanh};
constexpr double kRounding = 0.17;
constexpr std::array kScales{1.0, -0.25, kRounding};

// No power of two: it is rounded, and so is every product with it.
bool rounds(double scale) {
  int exponent = 0;
  return std::abs(std::frexp(scale, &exponent)) != 0.5;
}

std::string name_of_case(const AddOpts& opts, const Shape& shape, const std::string& what) {
  return fmt::format("add/{}/{}/{}/{}", name_of(opts.act), opts.scale, dims_of(shape), what);
}

std::vector<Shape> shapes() {
  std::vector<Shape> list{{1, 1, 1, 1}, {2, 7, 5, 3}, {3, 1, 1, 5}, {4, 14, 14, 64}};
  Draw draw("add/random");
  for (int i = 0; i < 12; ++i)
    list.push_back({draw.roll(1, 4), draw.roll(1, 9), draw.roll(1, 9), draw.roll(1, 40)});
  return list;
}

Problem forward_problem(const AddOpts& opts,
                        const Shape& shape,
                        const std::string& regime,
                        DType dtype) {
  Problem problem{.name = name_of_case(opts, shape, regime), .pass = "forward", .dtype = dtype};
  Draw draw(problem.name);
  const bool whole = regime == "exact";
  const auto data = [&] { return whole ? draw.whole(shape, -40, 40) : draw.normal(shape); };
  const Values a = data(), b = data();
  Values magnitude(a.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    magnitude[i] = std::abs(a[i]) + std::abs(opts.scale * b[i]);
  // Of the sum; of the scale and of its product with b.
  const double roundings = whole ? 0 : rounds(opts.scale) ? 3 : 1;
  Budget budget{roundings, magnitude};
  if (opts.act == Act::tanh) budget = {roundings + 8, magnitude, 1};  // the sum may be stored
  problem.slots = {in("a", shape, a), in("b", shape, b), out("y", shape, budget)};
  // At most 6 is one value nearly everywhere when the data are whole numbers.
  problem.slot("y").sparse = true;
  problem.round_inputs();
  problem.body = [opts](Call& call) {
    add_forward(call.ctx(), opts, call["a"], call["b"], call["y"]);
  };
  problem.in_place = {{"y", opts.scale == 1 ? "a" : "b"}};
  set_add_peer(problem, opts);
  return problem;
}

// who: "da", "db" or "both" are wanted.
Problem backward_problem(const AddOpts& opts,
                         const Shape& shape,
                         const std::string& who,
                         DType dtype) {
  Problem problem{
      .name = name_of_case(opts, shape, "to_" + who), .pass = "backward", .dtype = dtype};
  Draw draw(problem.name);
  const bool tanh = opts.act == Act::tanh;
  const Values dy = draw.normal(shape);
  problem.slots = {in("dy", shape, dy)};
  if (opts.act != Act::none)
    problem.slots.push_back(in("y", shape, draw.uniform(shape, tanh ? -1 : -2, tanh ? 1 : 8)));
  Budget of_a = exactly(), of_b = rounds(opts.scale) ? Budget{2} : exactly();
  if (tanh) {  // 1 - y*y is small where y is near 1, but its error is not
    of_a = {4, dy};
    for (double& size : of_a.magnitude) size = 2 * std::abs(size);
    of_b = {of_b.roundings + 4, of_a.magnitude};
    for (double& size : of_b.magnitude) size *= std::abs(opts.scale);
  }
  if (who != "db") problem.slots.push_back(out("da", shape, of_a));
  if (who != "da") problem.slots.push_back(out("db", shape, of_b));
  problem.round_inputs();
  problem.body = [opts](Call& call) {
    add_backward(call.ctx(), opts, call["y"], call["dy"], call["da"], call["db"]);
  };
  const bool through_b = who == "db" || (who == "both" && opts.scale != 1);
  problem.in_place = {{through_b ? "db" : "da", "dy"}};
  return problem;
}

void forward(Table& table) {
  for (Act act : kActs) {
    for (double scale : kScales) {
      const AddOpts opts{.act = act, .scale = scale};
      for (const Shape& shape : shapes()) {
        if (!rounds(scale) && act != Act::tanh) table.check(forward_problem, opts, shape, "exact");
        table.check(forward_problem, opts, shape, "real");
      }
    }
  }
}

void backward(Table& table) {
  for (Act act : kActs) {
    for (double scale : kScales) {
      const AddOpts opts{.act = act, .scale = scale};
      for (const Shape& shape : shapes()) {
        for (const char* who : {"da", "db", "both"})
          table.check(backward_problem, opts, shape, who);
      }
    }
  }
}
void more_than_a_grid(Table& table) {
  table.check(backward_problem({}, features(1, kMoreThanAGrid), "both", DType::f32));
}

void match_differences(Table& table) {
  for (const AddOpts& opts : {AddOpts{}, {Act::relu, kRounding}, {Act::tanh, -0.25}}) {
    const Shape shape{2, 3, 5, 2};
    Problem problem{.name = name_of_case(opts, shape, "difference")};
    Draw draw(problem.name);
    problem.slots = {in("a", shape, draw.normal(shape)),
                     in("b", shape, draw.normal(shape)),
                     in("dy", shape, draw.normal(shape)),
                     out("y", shape, exactly()),
                     out("da", shape, exactly()),
                     out("db", shape, exactly())};
    problem.body = [opts](Call& call) {
      add_forward(call.ctx(), opts, call["a"], call["b"], call["y"]);
      add_backward(call.ctx(), opts, call["y"], call["dy"], call["da"], call["db"]);
    };
    table.check_gradients(problem, "y", "dy", {{"a", "da"}, {"b", "db"}});
  }
}

void check_layer(Table& table, const LayerCase& layer) {
  const auto opts = std::any_cast<AddOpts>(layer.opts);
  const std::string name = "add/" + layer.name;
  if (!table.wants(name)) return;
  const auto check = [&](const auto& make, const char* what) {
    table.check([&](DType dtype) { return as_layer(make(opts, layer.y, what, dtype), name); });
  };
  check(forward_problem, "real");
  check(backward_problem, "both");
}

}  // namespace

void add_add(Suite& suite) {
  suite.add_layer("add", check_layer);
  suite.add("Forward", forward);
  suite.add("Backward", backward);
  suite.add("MoreThanAGrid", more_than_a_grid);
  suite.add_gradients("MatchDifferences", match_differences);
}

}  // namespace lamina::suite
