// Batch normalisation: training, its output once more, inference and both backward passes.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/batch_norm.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "kernels/suite/peers_dnnl.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

struct Case {
  std::string name;
  Shape shape;
  BatchNormOpts opts;
  double mean = 0.5, deviation = 2;  // of x
  bool shortcut = false;             // with z and dz
};

constexpr std::array kActs{Act::none, Act::relu, Act::relu6, Act::tanh, Act::sigmoid};

std::vector<Case> cases() {
  std::vector<Case> all{
      {"two_values", {2, 1, 1, 1}, {}},
      {"two_values_each", {1, 2, 1, 3}, {}},
      {"odd", {3, 5, 7, 5}, {}},
      {"one_sample", {1, 7, 5, 3}, {}},
      {"features", features(7, 33), {}},
      {"one_channel", {5, 7, 3, 1}, {}},
      {"many_channels", {2, 3, 3, 131}, {}},
      {"more_than_a_block", {1, 3, 2, 1031}, {}},
      {"resnet50/layer4", {2, 2, 2, 2048}, {}},
      {"large_eps", {3, 5, 5, 7}, {.eps = 1e-3}},
      {"momentum_of_one", {3, 5, 5, 7}, {.momentum = 1}},
      {"no_momentum", {3, 5, 5, 7}, {.momentum = 0}},
      // E[x^2] - E[x]^2 in f32 would lose everything here.
      {"far_from_zero", {5, 7, 7, 3}, {}, 1000, 0.5},
      {"tiny_deviation", {5, 7, 7, 3}, {}, 0, 1e-4},
  };
  for (Act act : kActs)
    all.push_back({fmt::format("{}", name_of(act)), {3, 5, 3, 6}, {.act = act}});
  for (std::int64_t batch : {7, 64}) {
    all.push_back(
        {fmt::format("lenet_bn/conv1.1@{}", batch), {batch, 28, 28, 6}, {.act = Act::relu}});
    all.push_back(
        {fmt::format("lenet_bn/conv2.1@{}", batch), {batch, 10, 10, 16}, {.act = Act::relu}});
  }
  for (int i = 0; i < 20; ++i) {
    const std::string name = fmt::format("random/{}", i);
    Draw draw("batch_norm/" + name);
    all.push_back({name,
                   {draw.roll(2, 9), draw.roll(1, 12), draw.roll(1, 12), draw.roll(1, 40)},
                   {.act = kActs[static_cast<std::size_t>(draw.roll(0, 4))]}});
  }
  for (const auto& [name, shape] : {std::pair<const char*, Shape>{"tiny", {1, 2, 1, 1}},
                                    {"odd", {3, 5, 7, 5}},
                                    {"resnet18/layer3", {2, 14, 14, 256}},
                                    {"resnet18/layer4", {2, 7, 7, 512}}})
    all.push_back({fmt::format("shortcut/{}", name), shape, {.act = Act::relu}, 0.5, 2, true});
  for (Act act : kActs)
    all.push_back(
        {fmt::format("shortcut/{}", name_of(act)), {3, 5, 3, 6}, {.act = act}, 0.5, 2, true});
  return all;
}

bool rounds(Act act) { return act == Act::tanh || act == Act::sigmoid; }

// Around 1000 the numbers of bf16 lie 4 apart, around 100 half of one.
double mean_of(const Case& c, DType dtype) {
  return dtype == DType::bf16 ? std::min(c.mean, 100.0) : c.mean;
}

// The data of a case, and the names they go by in every problem below.
Problem problem_of(const Case& c, const char* pass, DType dtype) {
  Problem problem{.name = "batch_norm/" + c.name, .pass = pass, .dtype = dtype};
  Draw draw("batch_norm/" + c.name);
  const Shape vector = features(1, c.shape.c);
  const double mean = mean_of(c, dtype);
  const double spread = c.deviation < 0.01 ? 1e-8 : 1;
  problem.slots = {in("x", c.shape, draw.normal(c.shape, mean, c.deviation)),
                   in("dy", c.shape, draw.normal(c.shape)),
                   wide(in("gamma", vector, draw.uniform(vector, 0.5, 2))),
                   wide(in("beta", vector, draw.normal(vector))),
                   wide(in("running_mean", vector, draw.normal(vector, mean, c.deviation))),
                   wide(in("running_var", vector, draw.uniform(vector, 0.5 * spread, 2 * spread))),
                   in("count", DType::i64, features(1, 1), {41})};
  if (c.shortcut) problem.slots.push_back(in("z", c.shape, draw.normal(c.shape)));
  problem.round_inputs();
  return problem;
}

BatchNormParams params_of(const Call& call) {
  return {call["gamma"], call["beta"], call["running_mean"], call["running_var"], call["count"]};
}

// Magnitude of y: what the subtraction of the mean starts from, and the shortcut. A mean that was
// summed up from the batch is off by roundings of numbers as large as x is wide: `deviation`.
Values normalised_size(const Case& c,
                       const Problem& problem,
                       const Values& mean,
                       const Values& invstd,
                       double deviation = 0) {
  const Values& x = problem.slot("x").values;
  const std::size_t channels = mean.size();
  Values size(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t c0 = i % channels;
    const double centred = invstd[c0] * (std::abs(x[i]) + std::abs(mean[c0]) + deviation);
    size[i] = problem.slot("gamma").values[c0] * centred +
              std::abs(problem.slot("beta").values[c0]) +
              (c.shortcut ? std::abs(problem.slot("z").values[i]) : 0);
  }
  return size;
}

// The sums of a channel are long: one running f32 sum would not do, partial sums are asked for.
double roundings(const Case& c) {
  const auto count = static_cast<double>(c.shape.numel() / c.shape.c);
  return 8 + 2 * std::log2(count) + (rounds(c.opts.act) ? 8 : 0);
}

Problem train_problem(const Case& c, DType dtype = DType::f32) {
  Problem problem = problem_of(c, "train", dtype);
  const Shape vector = features(1, c.shape.c);
  for (Slot& slot : problem.slots) {
    if (slot.name.starts_with("running_") || slot.name == "count") slot.role = Role::inout;
  }
  problem.slots.push_back(out("y", c.shape, {}));
  problem.slots.push_back(wide(out("mean", vector, {})));
  problem.slots.push_back(wide(out("invstd", vector, {})));
  problem.body = [opts = c.opts](Call& call) {
    batch_norm_train(call.ctx(),
                     opts,
                     call["x"],
                     call["z"],
                     params_of(call),
                     call["y"],
                     call["mean"],
                     call["invstd"]);
  };
  if (c.shortcut) problem.in_place = {{"y", "z"}};
  const auto truth = execute_ref(problem).values;
  const double units = roundings(c);
  const double x_size = std::abs(mean_of(c, dtype)) + c.deviation;
  problem.slot("y").budget = {
      units, normalised_size(c, problem, truth.at("mean"), truth.at("invstd"), c.deviation)};
  for (const char* name : {"mean", "running_mean"}) problem.slot(name).budget = {units, {x_size}};
  // A mean that is off by one rounding leaves the variance nearly alone, so these are relative.
  for (const char* name : {"invstd", "running_var"}) problem.slot(name).budget = {units};
  set_batch_norm_peer(problem, c.opts);
  return problem;
}

// From the statistics that the forward pass left behind.
Problem apply_problem(const Case& c, DType dtype) {
  const auto forward = execute_ref(train_problem(c, dtype)).values;
  const Shape vector = features(1, c.shape.c);
  Problem problem = problem_of(c, "apply", dtype);
  problem.slots.push_back(wide(in("mean", vector, forward.at("mean"))));
  problem.slots.push_back(wide(in("invstd", vector, forward.at("invstd"))));
  problem.slots.push_back(out("y", c.shape, {}));
  problem.round_inputs();
  problem.body = [opts = c.opts](Call& call) {
    batch_norm_apply(call.ctx(),
                     opts,
                     call["x"],
                     call["z"],
                     call["gamma"],
                     call["beta"],
                     call["mean"],
                     call["invstd"],
                     call["y"]);
  };
  problem.slot("y").budget = {
      16, normalised_size(c, problem, problem.slot("mean").values, problem.slot("invstd").values)};
  if (c.shortcut) problem.in_place = {{"y", "z"}};
  return problem;
}

Problem infer_problem(const Case& c, DType dtype) {
  Problem problem = problem_of(c, "infer", dtype);
  problem.slots.push_back(out("y", c.shape, {}));
  problem.body = [opts = c.opts](Call& call) {
    batch_norm_infer(call.ctx(), opts, call["x"], call["z"], params_of(call), call["y"]);
  };
  Values invstd = problem.slot("running_var").values;
  for (double& v : invstd) v = 1 / std::sqrt(v + c.opts.eps);
  problem.slot("y").budget = {
      16, normalised_size(c, problem, problem.slot("running_mean").values, invstd)};
  problem.in_place = {{"y", c.shortcut ? "z" : "x"}};
  set_batch_norm_peer(problem, c.opts);
  return problem;
}

// dgamma and dx are sums of terms like g * xhat; with |g| and |xhat| they give the magnitudes.
void add_gradients(const Case& c, Problem& problem, const Values& mean, const Values& invstd) {
  const Values &x = problem.slot("x").values, &dy = problem.slot("dy").values;
  const Values& gamma = problem.slot("gamma").values;
  const std::size_t channels = mean.size(), count = x.size() / channels;
  Values g_sum(channels), g_xhat_sum(channels), dx(x.size());
  const auto xhat = [&](std::size_t i) {
    const std::size_t c0 = i % channels;
    return (std::abs(x[i]) + std::abs(mean[c0])) * invstd[c0];
  };
  for (std::size_t i = 0; i < x.size(); ++i) {
    g_sum[i % channels] += std::abs(dy[i]);
    g_xhat_sum[i % channels] += std::abs(dy[i]) * xhat(i);
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t c0 = i % channels;
    dx[i] = gamma[c0] * invstd[c0] *
            (std::abs(dy[i]) + (g_sum[c0] + xhat(i) * g_xhat_sum[c0]) / static_cast<double>(count));
  }
  const double units = roundings(c);
  problem.slots.push_back(out("dx", c.shape, {units, dx}));
  if (c.shortcut) {
    // The rectifiers only choose between dy and 0; the others cost their three operations.
    problem.slots.push_back(out("dz", c.shape, {rounds(c.opts.act) ? 4.0 : 0.0, absolute(dy)}));
    if (rounds(c.opts.act)) problem.slot("dx").budget.stores = 1;
    problem.slot("dz").sparse = true;  // where a rectifier is shut
  }
  problem.slots.push_back(wide(out("dgamma", features(1, c.shape.c), {units, g_xhat_sum})));
  problem.slots.push_back(wide(out("dbeta", features(1, c.shape.c), {units, g_sum})));
}

// What the forward pass left behind, rounded as it would have been.
Problem backward_problem(const Case& c, DType dtype) {
  const auto forward = execute_ref(train_problem(c, dtype)).values;
  const Shape vector = features(1, c.shape.c);
  Problem problem = problem_of(c, "backward", dtype);
  problem.slots.push_back(wide(in("mean", vector, forward.at("mean"))));
  problem.slots.push_back(wide(in("invstd", vector, forward.at("invstd"))));
  if (c.opts.act != Act::none) problem.slots.push_back(in("y", c.shape, forward.at("y")));
  problem.round_inputs();
  problem.body = [opts = c.opts](Call& call) {
    batch_norm_backward(call.ctx(),
                        opts,
                        call["x"],
                        call["y"],
                        call["dy"],
                        call["gamma"],
                        call["beta"],
                        call["mean"],
                        call["invstd"],
                        call["dx"],
                        call["dz"],
                        call["dgamma"],
                        call["dbeta"]);
  };
  problem.in_place = {{"dx", "dy"}};
  add_gradients(c, problem, problem.slot("mean").values, problem.slot("invstd").values);
  set_batch_norm_peer(problem, c.opts);
  return problem;
}

Problem frozen_problem(const Case& c, DType dtype) {
  Problem problem = problem_of(c, "frozen", dtype);
  if (c.opts.act != Act::none)
    problem.slots.push_back(in("y", c.shape, execute_ref(infer_problem(c, dtype)).values.at("y")));
  problem.round_inputs();
  problem.body = [opts = c.opts](Call& call) {
    batch_norm_backward_frozen(call.ctx(),
                               opts,
                               call["x"],
                               call["y"],
                               call["dy"],
                               params_of(call),
                               call["dx"],
                               call["dz"],
                               call["dgamma"],
                               call["dbeta"]);
  };
  problem.in_place = {{"dx", "dy"}};
  Values invstd = problem.slot("running_var").values;
  for (double& v : invstd) v = 1 / std::sqrt(v + c.opts.eps);
  add_gradients(c, problem, problem.slot("running_mean").values, invstd);
  set_batch_norm_peer(problem, c.opts);
  return problem;
}

// The same with the slope of a rectifier seen from x, as layers without a shortcut do it. Where a
// rounding would decide, x is moved aside.
Problem without_y(Problem problem, const Values& mean, const Values& invstd) {
  const Values &gamma = problem.slot("gamma").values, &beta = problem.slot("beta").values;
  Values& x = problem.slot("x").values;
  const std::size_t channels = mean.size();
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t c = i % channels;
      const double scale = gamma[c] * invstd[c], front = scale * (x[i] - mean[c]) + beta[c];
      const double close =
          1e-5 * (scale * (std::abs(x[i]) + std::abs(mean[c])) + std::abs(beta[c]));
      if (std::min(std::abs(front), std::abs(front - 6)) > close) continue;
      x[i] += std::abs(x[i]) / 16 + 4 * close / scale;
    }
    problem.round_inputs();
  }
  problem.name += "_from_x";
  std::erase_if(problem.slots, [](const Slot& slot) { return slot.name == "y"; });
  return problem;
}

Problem backward_from_x(const Case& c, DType dtype) {
  const Problem problem = backward_problem(c, dtype);
  return without_y(problem, problem.slot("mean").values, problem.slot("invstd").values);
}

Problem frozen_from_x(const Case& c, DType dtype) {
  const Problem problem = frozen_problem(c, dtype);
  Values invstd = problem.slot("running_var").values;
  for (double& v : invstd) v = 1 / std::sqrt(v + c.opts.eps);
  return without_y(problem, problem.slot("running_mean").values, invstd);
}

bool can_leave_y_out(const Case& c) { return is_rectifier(c.opts.act) && !c.shortcut; }

// The same with dz where dy was, instead of dx.
Problem with_dz_in_place(Problem problem) {
  problem.name += "_dz_in_place";
  problem.in_place = {{"dz", "dy"}};
  return problem;
}

// The same with nobody asking for dx: the first layer of a net.
Problem without_dx(Problem problem) {
  problem.name += "_no_dx";
  std::erase_if(problem.slots, [](const Slot& slot) { return slot.name == "dx"; });
  problem.in_place.clear();
  problem.peer = {};  // which cannot leave dx out
  return problem;
}

void training(Table& table) {
  for (const Case& c : cases()) table.check(train_problem, c);
  table.check(train_problem, Case{"more_than_a_grid", kMoreRowsThanAGrid, {}});
}

void application(Table& table) {
  for (const Case& c : cases()) table.check(apply_problem, c);
}

void inference(Table& table) {
  for (const Case& c : cases()) table.check(infer_problem, c);
}

void backward(Table& table) {
  for (const Case& c : cases()) {
    table.check(backward_problem, c);
    table.check([&](DType dtype) { return without_dx(backward_problem(c, dtype)); });
    if (can_leave_y_out(c)) table.check(backward_from_x, c);
    if (!c.shortcut) continue;
    table.check([&](DType dtype) { return with_dz_in_place(backward_problem(c, dtype)); });
  }
  table.check(backward_problem, Case{"more_than_a_grid", kMoreRowsThanAGrid, {}});
}

void backward_of_inference(Table& table) {
  for (const Case& c : cases()) {
    table.check(frozen_problem, c);
    table.check([&](DType dtype) { return without_dx(frozen_problem(c, dtype)); });
    if (can_leave_y_out(c)) table.check(frozen_from_x, c);
    if (!c.shortcut) continue;
    table.check([&](DType dtype) { return with_dz_in_place(frozen_problem(c, dtype)); });
  }
}

// Channels that lie among others, as the inputs of a concat do.
void slices(Table& table) {
  std::vector<Case> list{{"slices/one_vector", {2, 3, 5, 16}, {}},
                         {"slices/googlenet", {2, 14, 14, 208}, {.act = Act::relu}},
                         {"slices/shortcut", {3, 5, 3, 32}, {.act = Act::tanh}, 0.5, 2, true},
                         {"slices/many_rows", {4, 28, 28, 48}, {.act = Act::relu6}}};
  for (const Case& c : list) {
    std::vector<std::string> backward{"x", "dy"};
    if (c.opts.act != Act::none) backward.push_back("y");
    for (const std::vector<std::string>& names :
         {std::vector<std::string>{"x"}, {"y"}, {"x", "y"}}) {
      table.check([&](DType dtype) { return sliced(train_problem(c, dtype), names); });
      table.check([&](DType dtype) { return sliced(infer_problem(c, dtype), names); });
    }
    for (const std::vector<std::string>& names :
         {std::vector<std::string>{"x"}, {"dy"}, backward}) {
      table.check([&](DType dtype) { return sliced(backward_problem(c, dtype), names); });
      table.check([&](DType dtype) { return sliced(frozen_problem(c, dtype), names); });
    }
    if (!can_leave_y_out(c)) continue;
    table.check([&](DType dtype) { return sliced(backward_from_x(c, dtype), {"x", "dy"}); });
  }
}

// Forward and backward in one problem, so that the differences go through the statistics too.
void match_differences(Table& table) {
  for (bool training : {true, false}) {
    for (Act act : kActs) {
      const Case c{fmt::format("{}/difference", name_of(act)),
                   {2, 3, 3, 3},
                   {.act = act},
                   0.5,
                   2,
                   /*shortcut=*/true};
      Problem problem = train_problem(c);
      add_gradients(c, problem, Values(3), Values(3));
      problem.body = [opts = c.opts, training](Call& call) {
        Context& ctx = call.ctx();
        const BatchNormParams p = params_of(call);
        const Tensor x = call["x"], z = call["z"], y = call["y"], dy = call["dy"];
        const Tensor dx = call["dx"], dz = call["dz"];
        const Tensor dgamma = call["dgamma"], dbeta = call["dbeta"];
        const Tensor mean = call["mean"], invstd = call["invstd"];
        if (training) {
          batch_norm_train(ctx, opts, x, z, p, y, mean, invstd);
          batch_norm_backward(
              ctx, opts, x, y, dy, p.gamma, p.beta, mean, invstd, dx, dz, dgamma, dbeta);
        } else {
          batch_norm_infer(ctx, opts, x, z, p, y);
          batch_norm_backward_frozen(ctx, opts, x, y, dy, p, dx, dz, dgamma, dbeta);
        }
      };
      const std::vector<GradientPair> pairs{
          {"x", "dx"}, {"z", "dz"}, {"gamma", "dgamma"}, {"beta", "dbeta"}};
      table.check_gradients(problem, "y", "dy", pairs);
    }
  }
}

void check_layer(Table& table, const LayerCase& layer) {
  const Case c{
      layer.name, layer.y, std::any_cast<BatchNormOpts>(layer.opts), 0.5, 2, layer.x.size() > 1};
  if (!table.wants("batch_norm/" + layer.name)) return;
  const auto check = [&](const auto& make) {
    table.check([&](DType dtype) { return as_layer(make(c, dtype), "batch_norm/" + layer.name); });
  };
  check(infer_problem);
  if (c.shape.numel() == c.shape.c) return;  // one value has no variance
  check(train_problem);
  check(can_leave_y_out(c) ? backward_from_x : backward_problem);
}

}  // namespace

void add_batch_norm(Suite& suite) {
  suite.add_layer("batch_norm", check_layer);
  suite.add("Training", training);
  suite.add("Application", application);
  suite.add("Inference", inference);
  suite.add("Backward", backward);
  suite.add("BackwardOfInference", backward_of_inference);
  suite.add("Slices", slices);
  suite.add_gradients("MatchDifferences", match_differences);
}

}  // namespace lamina::suite
