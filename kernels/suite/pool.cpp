// Max and average pooling.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/pool.h"

#include <limits>

#include <fmt/format.h>

#include "kernels/suite/peers_dnnl.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

struct Case {
  std::string name;
  Shape x;
  PoolOpts opts;
};

PoolOpts square(std::int64_t window, std::int64_t stride, std::int64_t pad = 0, bool ceil = false) {
  return {.r = window,
          .s = window,
          .stride_h = stride,
          .stride_w = stride,
          .pad_h = pad,
          .pad_w = pad,
          .ceil_mode = ceil};
}

std::vector<Case> ragged_cases() {
  return {
      {"one_of_everything", {1, 1, 1, 1}, square(1, 1)},
      {"window_is_input", {3, 5, 3, 2}, {.r = 5, .s = 3, .stride_h = 5, .stride_w = 3}},
      {"2x2", {2, 6, 4, 3}, square(2, 2)},
      {"2x2_leaves_an_edge", {2, 7, 5, 3}, square(2, 2)},
      {"2x2_ceil", {2, 7, 5, 3}, square(2, 2, 0, true)},
      {"3x3_stride_2", {3, 7, 9, 5}, square(3, 2)},
      {"3x3_stride_2_ceil", {1, 8, 6, 7}, square(3, 2, 0, true)},
      {"3x3_stride_2_pad_ceil", {2, 8, 7, 3}, square(3, 2, 1, true)},
      {"3x3_same", {2, 5, 7, 3}, square(3, 1, 1)},
      {"stride_beyond_window", {2, 8, 9, 3}, square(2, 3)},
      // The last window of ceil_mode would start in the right padding and is dropped.
      {"ceil_drops_a_window", {1, 5, 5, 1}, square(2, 3, 1, true)},
      {"uneven",
       {2, 9, 7, 3},
       {.r = 3, .s = 2, .stride_h = 2, .stride_w = 1, .pad_h = 1, .pad_w = 0, .ceil_mode = true}},
      {"uneven_pad",
       {1, 5, 9, 17},
       {.r = 2, .s = 4, .stride_h = 1, .stride_w = 3, .pad_h = 0, .pad_w = 2}},
      {"16x16", {1, 17, 18, 2}, square(16, 1)},
      {"global", {3, 7, 7, 33}, square(7, 7)},
      {"wide_channels", {1, 4, 4, 131}, square(2, 2)},
      {"whole_vectors", {2, 9, 7, 32}, square(3, 2, 1, true)},
      {"more_than_a_grid", kMoreRowsThanAGrid, square(2, 1, 1)},
  };
}

std::vector<Case> layer_cases(std::int64_t batch, bool max) {
  std::vector<Case> cases;
  const auto add = [&](const char* name, std::int64_t size, std::int64_t c) {
    cases.push_back({fmt::format("{}@{}", name, batch), {batch, size, size, c}, square(2, 2)});
  };
  if (max) {
    add("lenet_bn/conv1.3", 28, 6);
    add("lenet_bn/conv2.3", 10, 16);
    add("lenet_fashion/conv.2", 24, 6);
    add("lenet_fashion/conv.5", 8, 16);
    add("cnn_mnist/pool1", 24, 6);
    add("cnn_mnist/pool2", 8, 6);
  } else {
    add("lenet5/net.2", 28, 6);
    add("lenet5/net.5", 10, 16);
  }
  return cases;
}

std::vector<Case> random_cases(int count) {
  std::vector<Case> cases;
  for (int i = 0; i < count; ++i) {
    const std::string name = fmt::format("random/{}", i);
    Draw draw("pool/" + name);
    PoolOpts o{.r = draw.roll(1, 4),
               .s = draw.roll(1, 4),
               .stride_h = draw.roll(1, 4),
               .stride_w = draw.roll(1, 4),
               .pad_h = 0,
               .pad_w = 0,
               .ceil_mode = draw.roll(0, 1) == 1,
               .count_include_pad = draw.roll(0, 1) == 1};
    o.pad_h = draw.roll(0, o.r / 2);
    o.pad_w = draw.roll(0, o.s / 2);
    cases.push_back(
        {name,
         {draw.roll(1, 4), o.r + draw.roll(0, 9), o.s + draw.roll(0, 9), draw.roll(1, 20)},
         o});
  }
  return cases;
}

// What backward reads: the indices that ref finds, so that the passes can fail one by one.
void find_winners(Problem& problem) {
  std::erase_if(problem.slots, [](const Slot& slot) { return slot.name == "winners"; });
  const Shape y = problem.slot("y").shape;
  const Outcome forward = execute_ref(restricted(problem, problem.passes.front()));
  problem.slots.push_back(in("winners", DType::u8, y, forward.values.at("idx")));
}

Problem max_problem(const Case& c, const std::string& regime, DType dtype = DType::f32) {
  Problem problem{
      .name = "max_pool/" + c.name + "/" + regime,
      .dtype = dtype,
      .passes = {{"forward", {"x"}, {"y", "idx"}}, {"backward", {"dy", "winners"}, {"dx"}}}};
  Draw draw(problem.name);
  const Shape y = pool_output(c.opts, c.x);
  // Wide enough that the largest of a window is not always the same, narrow enough for ties.
  const std::int64_t window = c.opts.r * c.opts.s;
  const auto data = [&](const Shape& shape) {
    return regime == "exact" ? draw.whole(shape, -4 * window, 4 * window) : draw.normal(shape);
  };
  problem.slots = {in("x", c.x, data(c.x)),
                   in("dy", y, data(y)),
                   out("y", y, exactly()),
                   out("idx", DType::u8, y)};
  problem.round_inputs();
  problem.slot("idx").sparse = true;
  problem.body = [opts = c.opts](Call& call) {
    if (call["y"]) max_pool_forward(call.ctx(), opts, call["x"], call["y"], call["idx"]);
    const Tensor idx = call["winners"] ? call["winners"] : call["idx"];
    if (call["dx"]) max_pool_backward(call.ctx(), opts, call["dy"], idx, call["dx"]);
  };
  problem.slots.push_back(out("dx", c.x, exactly()));
  problem.slot("dx").sparse = true;  // one winner a window
  set_max_pool_peer(problem, c.opts);
  if (regime != "difference") find_winners(problem);
  return problem;
}

Problem real_max_problem(const Case& c, DType dtype) {
  Problem problem = max_problem(c, "real", dtype);
  // The winners have to stay where they are, so only dy loses its signs.
  Problem sizes = problem;
  sizes.slot("dy").values = absolute(sizes.slot("dy").values);
  problem.slot("dx").budget = sum_budget(c.opts.r * c.opts.s, execute_ref(sizes).values.at("dx"));
  return problem;
}

Problem max_problem_without_idx(const Case& c, DType dtype) {
  Problem problem = max_problem(c, "real", dtype);
  problem.name += "_no_idx";
  std::erase_if(problem.slots, [](const Slot& slot) { return slot.name == "idx"; });
  problem.passes.resize(1);
  return problem;
}

Problem avg_problem(const Case& c, const std::string& regime, DType dtype = DType::f32) {
  Problem problem{.name = "avg_pool/" + c.name + "/" + regime,
                  .dtype = dtype,
                  .passes = {{"forward", {"x"}, {"y"}}, {"backward", {"dy"}, {"dx"}}}};
  Draw draw(problem.name);
  const Shape y = pool_output(c.opts, c.x);
  const auto data = [&](const Shape& shape) {
    return regime == "exact" ? draw.whole(shape) : draw.normal(shape);
  };
  problem.slots = {in("x", c.x, data(c.x)),
                   in("dy", y, data(y)),
                   out("y", y, exactly()),
                   out("dx", c.x, exactly())};
  problem.round_inputs();
  problem.slot("dx").sparse = c.opts.stride_h > c.opts.r || c.opts.stride_w > c.opts.s;
  set_avg_pool_peer(problem, c.opts);
  problem.body = [opts = c.opts](Call& call) {
    if (call["y"]) avg_pool_forward(call.ctx(), opts, call["x"], call["y"]);
    if (call["dx"]) avg_pool_backward(call.ctx(), opts, call["dy"], call["dx"]);
  };
  return problem;
}

Problem real_avg_problem(const Case& c, DType dtype) {
  Problem problem = avg_problem(c, "real", dtype);
  const auto magnitude = execute_ref(absolute(problem)).values;
  const std::int64_t window = c.opts.r * c.opts.s;
  problem.slot("y").budget = sum_budget(window, magnitude.at("y"));
  problem.slot("dx").budget = sum_budget(window, magnitude.at("dx"));
  return problem;
}

// Dividing by a power of two is exact, and nothing else is.
bool divides_exactly(const PoolOpts& o) {
  const std::int64_t window = o.r * o.s;
  const bool whole_windows = o.count_include_pad || (o.pad_h == 0 && o.pad_w == 0);
  return (window & (window - 1)) == 0 && whole_windows && !o.ceil_mode;
}

void max(Table& table) {
  std::vector<Case> cases = ragged_cases();
  for (const Case& c : random_cases(40)) cases.push_back(c);
  for (std::int64_t batch : {7, 64}) {
    for (const Case& c : layer_cases(batch, true)) cases.push_back(c);
  }
  for (const Case& c : cases) {
    table.check(max_problem, c, "exact");
    table.check(real_max_problem, c);
    table.check(max_problem_without_idx, c);
  }
}

// The outputs lie among other channels, as in the branches of Inception blocks.
void slices(Table& table) {
  for (const Case& c : {Case{"mixed", {2, 9, 9, 32}, square(3, 2)},
                        {"same", {1, 5, 7, 16}, square(3, 1, 1)},
                        {"halves", {2, 6, 8, 48}, square(2, 2)}}) {
    table.check([&](DType dtype) { return sliced(real_max_problem(c, dtype), {"y", "dy"}); });
    table.check([&](DType dtype) { return sliced(real_avg_problem(c, dtype), {"y", "dy"}); });
  }
}

void average(Table& table) {
  std::vector<Case> cases;
  for (Case c : ragged_cases()) {
    cases.push_back(c);
    c.name += "_exclude_pad";
    c.opts.count_include_pad = false;
    cases.push_back(c);
  }
  for (const Case& c : random_cases(40)) cases.push_back(c);
  for (std::int64_t batch : {7, 64}) {
    for (const Case& c : layer_cases(batch, false)) cases.push_back(c);
  }
  for (const Case& c : cases) {
    if (divides_exactly(c.opts)) table.check(avg_problem, c, "exact");
    table.check(real_avg_problem, c);
  }
}

// Ties go to the first, minus infinity can win, padding cannot, and NaN beats everything.
void odd_values_in_max(Table& table) {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<std::pair<std::string, std::vector<double>>> mixes{
      {"all_equal", {4}},
      {"all_minus_infinity", {-infinity}},
      {"some_minus_infinity", {-infinity, -3, -infinity, -5}},
      {"some_nan", {1, nan, 7, 3, 5, 2, 9, 8, 4, 6, 0}},
      {"nan_first", {nan, 7, 3, 1, 2}},
      {"nan_and_infinity", {infinity, nan, -infinity, 1, 2}},
      {"zeros_of_both_signs", {-0.0, 0.0, 0.0}},
  };
  for (const auto& [name, mix] : mixes) {
    for (const Case& c : ragged_cases()) {
      table.check([&](DType dtype) {
        Problem problem = max_problem({name + "/" + c.name, c.x, c.opts}, "exact", dtype);
        Values& x = problem.slot("x").values;
        for (std::size_t i = 0; i < x.size(); ++i) x[i] = mix[i % mix.size()];
        problem.slot("y").sparse = true;
        find_winners(problem);
        return problem;
      });
    }
  }
}

void match_differences(Table& table) {
  for (Case c : ragged_cases()) {
    if (c.x.numel() > 400) continue;
    table.check_gradients(max_problem(c, "difference"), "y", "dy", {{"x", "dx"}});
    table.check_gradients(avg_problem(c, "difference"), "y", "dy", {{"x", "dx"}});
    c.opts.count_include_pad = false;
    table.check_gradients(avg_problem(c, "difference"), "y", "dy", {{"x", "dx"}});
  }
}

template <Problem (*kMake)(const Case&, DType)>
void check_layer(Table& table, const LayerCase& layer) {
  const Case c{layer.name, layer.x[0], std::any_cast<PoolOpts>(layer.opts)};
  const std::string op = kMake == real_max_problem ? "max_pool/" : "avg_pool/";
  if (!table.wants(op + layer.name)) return;
  table.check([&](DType dtype) { return as_layer(kMake(c, dtype), op + layer.name); });
}

}  // namespace

void add_pool(Suite& suite) {
  suite.add_layer("max_pool", check_layer<real_max_problem>);
  suite.add_layer("avg_pool", check_layer<real_avg_problem>);
  suite.add("Max", max);
  suite.add("Slices", slices);
  suite.add("Average", average);
  suite.add("OddValuesInMax", odd_values_in_max);
  suite.add_gradients("MatchDifferences", match_differences);
}

}  // namespace lamina::suite
