// Local response normalisation.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/lrn.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kernels/suite/peers_dnnl.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

struct Case {
  std::string name;
  Shape shape;
  LrnOpts opts;
  double deviation = 1;  // of x
};

// Large alpha: with that of the papers the scale would hardly differ from k.
std::vector<Case> cases() {
  std::vector<Case> all{
      {"one_of_everything", {1, 1, 1, 1}, {.alpha = 1}},
      {"fewer_channels_than_window", {2, 3, 5, 3}, {.size = 9, .alpha = 1}},
      {"one_channel_windows", {2, 3, 5, 17}, {.size = 1, .alpha = 1}},
      {"even", {3, 5, 3, 33}, {.size = 4, .alpha = 2}},
      {"of_two", {1, 5, 3, 16}, {.size = 2, .alpha = 2}},
      {"widest", {1, 3, 5, 131}, {.size = 64, .alpha = 2}},
      {"square_root", {2, 5, 3, 19}, {.alpha = 1, .beta = 0.5}},
      {"other_power", {2, 5, 3, 19}, {.alpha = 1, .beta = 1.3}},
      {"no_power", {2, 5, 3, 19}, {.alpha = 1, .beta = 0}},
      {"large_values", {2, 5, 3, 40}, {}, 100},
      {"alexnet/lrn1", {2, 27, 27, 96}, {.alpha = 1e-4, .k = 2}, 20},
      {"alexnet/lrn2", {2, 13, 13, 256}, {.alpha = 1e-4, .k = 2}, 20},
      {"more_than_a_grid", {1, 100, 111, 49}, {.size = 3, .alpha = 1}},
      {"googlenet/lrn", {1, 28, 28, 64}, {.alpha = 1e-4}, 20},
  };
  for (int i = 0; i < 20; ++i) {
    const std::string name = fmt::format("random/{}", i);
    Draw draw("lrn/" + name);
    all.push_back({name,
                   {draw.roll(1, 4), draw.roll(1, 9), draw.roll(1, 9), draw.roll(1, 70)},
                   {.size = draw.roll(1, 12), .alpha = 1, .k = 0.5}});
  }
  return all;
}

double share_of(const LrnOpts& o) { return o.alpha / static_cast<double>(o.size); }

// Calls body(i, j) for every element i and every element j of its window.
template <class Body>
void for_each_pair(const Case& c, const Body& body) {
  const std::int64_t channels = c.shape.c;
  for (std::int64_t i = 0; i < c.shape.numel(); ++i)
    for (std::int64_t d = -(c.opts.size / 2); d <= (c.opts.size - 1) / 2; ++d)
      if (const std::int64_t at = i % channels + d; at >= 0 && at < channels) body(i, i + d);
}

Problem make_problem(const Case& c, DType dtype = DType::f32) {
  Problem problem{.name = "lrn/" + c.name,
                  .dtype = dtype,
                  .passes = {{"forward", {"x"}, {"y"}}, {"backward", {"x", "dy"}, {"dx"}}}};
  Draw draw(problem.name);
  problem.slots = {in("x", c.shape, draw.normal(c.shape, 0, c.deviation)),
                   in("dy", c.shape, draw.normal(c.shape)),
                   out("y", c.shape, {}),
                   out("dx", c.shape, {})};
  problem.round_inputs();
  set_lrn_peer(problem, c.opts);
  const Values &x = problem.slot("x").values, &dy = problem.slot("dy").values;
  // dx without its cancellations.
  Values scale(x.size(), c.opts.k), size(x.size());
  for_each_pair(c, [&](std::int64_t i, std::int64_t j) {
    scale[static_cast<std::size_t>(i)] +=
        share_of(c.opts) * x[static_cast<std::size_t>(j)] * x[static_cast<std::size_t>(j)];
  });
  for (std::size_t i = 0; i < x.size(); ++i)
    size[i] = std::abs(dy[i]) * std::pow(scale[i], -c.opts.beta);
  for_each_pair(c, [&](std::int64_t from, std::int64_t to) {
    const auto i = static_cast<std::size_t>(from), j = static_cast<std::size_t>(to);
    size[j] += std::abs(2 * c.opts.beta * share_of(c.opts) * dy[i] * x[i] * x[j]) *
               std::pow(scale[i], -c.opts.beta - 1);
  });
  // The scale is a sum of positive terms; beta times its error reaches y, and the exponent's own
  // rounding counts as often as the logarithm is large. The rest are single operations.
  const double largest = *std::max_element(scale.begin(), scale.end());
  const double smallest = *std::min_element(scale.begin(), scale.end());
  const double logarithm = std::max(std::abs(std::log(largest)), std::abs(std::log(smallest)));
  const double of_scale = 4 + std::sqrt(static_cast<double>(c.opts.size));
  const double units = c.opts.beta * (of_scale + logarithm) + 4;
  problem.slot("y").budget = {units};
  problem.slot("dx").budget = {units + of_scale + 4, size};
  problem.body = [opts = c.opts](Call& call) {
    if (call["y"]) lrn_forward(call.ctx(), opts, call["x"], call["y"]);
    if (call["dx"]) lrn_backward(call.ctx(), opts, call["x"], call["dy"], call["dx"]);
  };
  return problem;
}

void forward_and_backward(Table& table) {
  for (const Case& c : cases()) table.check(make_problem, c);
}

void match_differences(Table& table) {
  for (const Case& c : {Case{"difference/odd", {2, 2, 3, 7}, {.alpha = 2}},
                        Case{"difference/even", {2, 1, 3, 9}, {.size = 4, .alpha = 3, .k = 0.5}},
                        Case{"difference/wide", {1, 2, 3, 4}, {.size = 9, .alpha = 2, .beta = 2}}})
    table.check_gradients(make_problem(c), "y", "dy", {{"x", "dx"}});
}

void check_layer(Table& table, const LayerCase& layer) {
  const Case c{layer.name, layer.y, std::any_cast<LrnOpts>(layer.opts), 20};
  if (!table.wants("lrn/" + layer.name)) return;
  table.check([&](DType dtype) { return as_layer(make_problem(c, dtype), "lrn/" + c.name); });
}

}  // namespace

void add_lrn(Suite& suite) {
  suite.add_layer("lrn", check_layer);
  suite.add("ForwardAndBackward", forward_and_backward);
  suite.add_gradients("MatchDifferences", match_differences);
}

}  // namespace lamina::suite
