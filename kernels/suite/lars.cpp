// LARS over several tensors of a slab.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/lars.h"

#include <cmath>

#include <fmt/format.h>

#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

struct Case {
  std::string name;
  std::vector<std::int64_t> counts;  // of the tensors; a gap behind each
  LarsOpts opts = {};
  float loss_scale = 1, clip = 1;
  bool copy = true, zero = false;  // the first tensor's weights
};
constexpr std::int64_t kGap = 3;

Problem make_problem(const Case& c, DType dtype) {
  Problem problem{.name = "lars/" + c.name, .pass = "step", .dtype = dtype};
  Draw draw(problem.name);
  Values spans;
  std::int64_t total = 0;
  for (std::int64_t count : c.counts) {
    spans.insert(spans.end(), {static_cast<double>(total), static_cast<double>(count)});
    total += count + kGap;
  }
  const Shape shape = features(1, total), table = features(1, std::ssize(spans));
  Values w = draw.normal(shape);
  if (c.zero) std::fill_n(w.begin(), c.counts.front(), 0.0);
  const Values dw = rounded(dtype, draw.normal(shape, 0, static_cast<double>(c.loss_scale)));
  const Values m = draw.normal(shape, 0, 0.1);
  constexpr float kLr = 0.5f;
  // Norms are sums of f64, so rates are as good as exact; of what elements are made of they scale
  // the gradient: at most one, or what the trust allows.
  Values size;
  double w2 = 0, g2 = 0;
  const double factor = static_cast<double>(c.clip) / static_cast<double>(c.loss_scale);
  for (std::size_t i = 0; i < w.size(); ++i) {
    w2 += w[i] * w[i];
    g2 += dw[i] * factor * dw[i] * factor;
  }
  const double rate = std::max(1.0, 4 * c.opts.trust * std::sqrt(w2 / g2));
  for (std::size_t i = 0; i < w.size(); ++i)
    size.push_back(std::abs(w[i]) + std::abs(m[i]) +
                   rate * (std::abs(dw[i]) * factor + c.opts.weight_decay * std::abs(w[i])));
  const Budget budget{12, size};
  problem.slots = {
      state_slot({.lr = kLr, .clip = c.clip, .loss_scale = c.loss_scale}),
      wide(inout("w", shape, w, budget)),
      in("dw", shape, dw),
      wide(inout("m", shape, m, budget)),
      in("spans", DType::i64, table, spans),
      {.name = "norms", .role = Role::out, .dtype = DType::f64, .shape = table, .budget = {8, {}}}};
  if (c.copy) problem.slots.push_back(inout("copy", shape, rounded(dtype, w), budget));
  problem.body = [c](Call& call) {
    lars_step(call.ctx(),
              c.opts,
              call.state(),
              call["w"],
              call["dw"],
              call["m"],
              call["copy"],
              call["spans"],
              call["norms"]);
  };
  return problem;
}

void steps(Table& table) {
  const LarsOpts decay{.momentum = 0.9, .weight_decay = 1e-2, .trust = 0.02};
  for (const Case& c : std::vector<Case>{
           {"one", {1}},
           {"one_tensor", {333}},
           {"several", {65, 1, 1000, 777}, decay},
           {"no_momentum", {65, 33}, {.momentum = 0, .weight_decay = 0.1, .trust = 0.1}},
           {"no_weights_yet", {65, 33}, decay, 1, 1, true, true},
           {"scaled_and_clipped", {129, 500}, decay, 1024, 0.25f},
           {"no_copy", {65, 33}, decay, 1, 1, false},
       })
    table.check(make_problem, c);
  table.check(make_problem({"more_than_a_grid", {9, kMoreThanAGrid, 5}, decay}, DType::f32));
}

void known(Table& table) {
  table.verify("lars/known", "step", [](Context& ctx) {
    Problem problem = make_problem(
        {"known", {2}, {.momentum = 0.5, .weight_decay = 0.5, .trust = 0.1}}, DType::f32);
    problem.slot("w").values = {3, 4, 1, 1, 1};
    problem.slot("dw").values = {0, 2.5, 9, 9, 9};
    problem.slot("m").values = {1, 0, 1, 1, 1};
    // |w| 5, |g| 2.5, rate 0.1 * 5 / (2.5 + 0.5 * 5) = 0.1; m {0.65, 0.45}; w -= 0.5 * m
    const Values w = execute(ctx, DType::f32, problem).values.at("w");
    const Values want{2.675, 3.775, 1, 1, 1};
    std::vector<std::string> failures;
    for (std::size_t i = 0; i < w.size(); ++i)
      if (!(std::abs(w[i] - want[i]) < 1e-6))
        failures.push_back(fmt::format("w[{}] is {}, not {}", i, w[i], want[i]));
    return failures;
  });
}

}  // namespace

void add_lars(Suite& suite) {
  suite.add("Steps", steps);
  suite.add("Known", known);
}

}  // namespace lamina::suite
