// Channels side by side, and apart again.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/concat.h"

#include <fmt/format.h>

#include "kernels/suite/peers_dnnl.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

struct Case {
  std::int64_t n, h, w;
  std::vector<std::int64_t> channels;
};

std::string name_of_case(const Case& c, const char* op) {
  std::string name = fmt::format("{}/{}x{}x{}", op, c.n, c.h, c.w);
  for (std::int64_t channels : c.channels) name += fmt::format("_{}", channels);
  return name;
}

Shape whole_of(const Case& c) {
  Shape shape{c.n, c.h, c.w, 0};
  for (std::int64_t channels : c.channels) shape.c += channels;
  return shape;
}

Problem concat_problem(const Case& c, DType dtype) {
  Problem problem{.name = name_of_case(c, "concat"), .pass = "forward", .dtype = dtype};
  Draw draw(problem.name);
  for (std::size_t i = 0; i < c.channels.size(); ++i) {
    const Shape part{c.n, c.h, c.w, c.channels[i]};
    problem.slots.push_back(in(fmt::format("x{}", i), part, draw.normal(part)));
  }
  problem.slots.push_back(out("y", whole_of(c), exactly()));
  problem.round_inputs();
  problem.body = [count = c.channels.size()](Call& call) {
    std::vector<Tensor> x;
    for (std::size_t i = 0; i < count; ++i) x.push_back(call[fmt::format("x{}", i)]);
    concat(call.ctx(), x, call["y"]);
  };
  set_concat_peer(problem);
  return problem;
}

// skipped: the number of a part that nobody wants; -1: none.
Problem split_problem(const Case& c, int skipped, DType dtype) {
  Problem problem{.name = fmt::format("{}/without_{}", name_of_case(c, "concat"), skipped),
                  .pass = "backward",
                  .dtype = dtype};
  Draw draw(problem.name);
  problem.slots = {in("dy", whole_of(c), draw.normal(whole_of(c)))};
  for (std::size_t i = 0; i < c.channels.size(); ++i) {
    if (static_cast<int>(i) == skipped) continue;
    const Shape part{c.n, c.h, c.w, c.channels[i]};
    problem.slots.push_back(out(fmt::format("dx{}", i), part, exactly()));
  }
  problem.round_inputs();
  problem.body = [channels = c.channels](Call& call) {
    std::vector<Tensor> dx;
    for (std::size_t i = 0; i < channels.size(); ++i) dx.push_back(call[fmt::format("dx{}", i)]);
    split(call.ctx(), call["dy"], dx, channels);
  };
  return problem;
}

std::vector<Case> cases() {
  std::vector<Case> list{{1, 1, 1, {1}},
                         {2, 3, 5, {1, 1}},
                         {1, 7, 7, {5, 3, 1}},
                         {2, 14, 14, {64, 128, 32, 32}},
                         {1, 28, 28, {8, 16}},
                         {3, 5, 4, {24, 7, 8}}};
  Draw draw("concat/random");
  for (int i = 0; i < 12; ++i) {
    Case c{draw.roll(1, 3), draw.roll(1, 9), draw.roll(1, 9), {}};
    for (std::int64_t parts = draw.roll(1, 5); parts > 0; --parts)
      c.channels.push_back(draw.roll(1, 20));
    list.push_back(c);
  }
  return list;
}

void concat(Table& table) {
  for (const Case& c : cases()) table.check(concat_problem, c);
  constexpr Shape kLarge = kMoreRowsThanAGrid;
  table.check(concat_problem, Case{kLarge.n, kLarge.h, kLarge.w, {kLarge.c, 1}});
}

void split(Table& table) {
  for (const Case& c : cases()) {
    table.check(split_problem, c, -1);
    if (c.channels.size() > 1)
      table.check(split_problem, c, static_cast<int>(c.channels.size()) / 2);
  }
}

void slices(Table& table) {
  for (const Case& c : {Case{1, 1, 1, {16}}, {2, 5, 3, {32, 16, 48}}, {2, 14, 14, {64, 128}}}) {
    for (const std::vector<std::string>& names :
         {std::vector<std::string>{"y"}, {"x0"}, {"x0", "y"}})
      table.check([&](DType dtype) { return sliced(concat_problem(c, dtype), names); });
    for (const std::vector<std::string>& names :
         {std::vector<std::string>{"dy"}, {"dx0"}, {"dx0", "dy"}})
      table.check([&](DType dtype) { return sliced(split_problem(c, -1, dtype), names); });
  }
}

void check_layer(Table& table, const LayerCase& layer) {
  Case c{layer.y.n, layer.y.h, layer.y.w, {}};
  for (const Shape& x : layer.x) c.channels.push_back(x.c);
  const std::string name = "concat/" + layer.name;
  if (!table.wants(name)) return;
  table.check([&](DType dtype) { return as_layer(concat_problem(c, dtype), name); });
  table.check([&](DType dtype) { return as_layer(split_problem(c, -1, dtype), name); });
}

}  // namespace

void add_concat(Suite& suite) {
  suite.add_layer("concat", check_layer);
  suite.add("Concat", concat);
  suite.add("Split", split);
  suite.add("Slices", slices);
}

}  // namespace lamina::suite
