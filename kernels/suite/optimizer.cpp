// SGD, Adam and RMSProp over several steps, against the formulas of the contract written out once
// more.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "kernels/gradient_slab.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

constexpr int kSteps = 5;
constexpr std::int64_t kBatch = 64;

struct Setting {
  std::string name;
  std::int64_t count;
  float lr = 0.01f;
  std::int64_t first_step = 0;
  bool fresh = true;  // the moments are zero, as before the first step
  bool copy = true;
  // Gradients times a scale, which halves after a step that overflows and doubles after two others.
  float loss_scale = 1;
  int overflow = -1;         // this step has an infinite gradient
  std::int64_t skipped = 0;  // steps before the first
  // Of an epoch's steps; empty: lr, and the optimizer's own momentum.
  Values rates = {}, momenta = {};

  bool scaled() const { return loss_scale != 1; }
  double lr_at(int step) const { return step == 0 || rates.empty() ? lr : of_epoch(rates, step); }
  double momentum_at(int step, double own) const {
    return momenta.empty() ? own : of_epoch(momenta, step);
  }

 private:
  double of_epoch(const Values& list, int step) const {
    return list[static_cast<std::size_t>(first_step + step) % list.size()];
  }
};
constexpr int kGrowth = 2;

// Numbers of f32, and fewer of them than steps: they come round again.
Values some_rates() { return {0.015625, 0.0625, 0.03125}; }
Values some_momenta() { return {0.9375, 0.875, 0.5, 0.90625}; }

// The slab after all steps, and the sizes of what each element was summed from.
struct Trajectory {
  Values w, m, v;
  Values w_size, m_size, v_size;
};

// The data of both optimizers: half of the weights are zero, where an error in the update cannot
// hide behind the rounding of the weight.
struct Slab {
  Slab(const std::string& name, const Setting& s, DType dtype) : shape(features(1, s.count)) {
    Draw draw(name);
    w = draw.normal(shape);
    for (std::size_t i = 0; i < w.size(); i += 2) w[i] = 0;
    int good = 0;
    double scale = s.loss_scale;
    for (int step = 0; step < kSteps; ++step) {
      Values& g = dw.emplace_back(rounded(dtype, draw.normal(shape, 0, 0.1 * scale)));
      scales.push_back(scale);
      if (step == s.overflow) {
        g[g.size() / 2] = std::numeric_limits<double>::infinity();
        scale /= 2;
        good = 0;
      } else if (s.scaled() && ++good == kGrowth) {
        scale *= 2;
        good = 0;
      }
    }
    m = s.fresh ? Values(w.size(), 0) : draw.normal(shape, 0, 0.1);
    v = s.fresh ? Values(w.size(), 0) : draw.uniform(shape, 0.001, 0.01);
  }
  double gradient(int step, std::size_t i) const {
    const auto at = static_cast<std::size_t>(step);
    return dw[at][i] / scales[at];
  }
  Shape shape;
  Values w, m, v;
  std::vector<Values> dw;
  std::vector<double> scales;  // of each dw
};

Trajectory sgd_formula(const SgdOpts& o, const Setting& s, const Slab& slab) {
  Trajectory t{slab.w, slab.m, {}, absolute(slab.w), absolute(slab.m), {}};
  for (int step = 0; step < kSteps; ++step) {
    if (step == s.overflow) continue;
    const double lr = s.lr_at(step), momentum = s.momentum_at(step, o.momentum);
    for (std::size_t i = 0; i < t.w.size(); ++i) {
      const double dw = slab.gradient(step, i);
      const double g = dw + o.weight_decay * t.w[i];
      const double g_size = std::abs(dw) + o.weight_decay * t.w_size[i];
      t.m[i] = momentum * t.m[i] + g;
      t.m_size[i] = momentum * t.m_size[i] + g_size;
      t.w[i] -= lr * (o.nesterov ? g + momentum * t.m[i] : t.m[i]);
      t.w_size[i] += lr * (g_size + t.m_size[i]);
      if (o.momentum == 0) t.m[i] = t.m_size[i] = 0;
    }
  }
  return t;
}

Trajectory adam_formula(const AdamOpts& o, const Setting& s, const Slab& slab) {
  Trajectory t{slab.w, slab.m, slab.v, absolute(slab.w), absolute(slab.m), slab.v};
  std::int64_t skipped = s.skipped;
  for (int step = 0; step < kSteps; ++step) {
    if (step == s.overflow) {
      ++skipped;
      continue;
    }
    const double number = static_cast<double>(s.first_step + step + 1 - skipped);
    const double lr = s.lr_at(step), beta1 = s.momentum_at(step, o.beta1);
    const double m_scale = 1 - std::pow(beta1, number), v_scale = 1 - std::pow(o.beta2, number);
    for (std::size_t i = 0; i < t.w.size(); ++i) {
      const double dw = slab.gradient(step, i);
      const double l2 = o.decoupled ? 0 : o.weight_decay;
      const double g = dw + l2 * t.w[i], g_size = std::abs(dw) + l2 * t.w_size[i];
      if (o.decoupled) t.w[i] *= 1 - lr * o.weight_decay;
      t.m[i] = beta1 * t.m[i] + (1 - beta1) * g;
      t.v[i] = o.beta2 * t.v[i] + (1 - o.beta2) * g * g;
      t.m_size[i] = beta1 * t.m_size[i] + (1 - beta1) * g_size;
      t.v_size[i] = o.beta2 * t.v_size[i] + (1 - o.beta2) * g_size * g_size;
      const double root = std::sqrt(t.v[i] / v_scale);
      t.w[i] -= lr * (t.m[i] / m_scale) / (root + o.eps);
      // Relative errors of m and of v both reach the update.
      const double doubt = t.v[i] > 0 ? 1 + t.v_size[i] / t.v[i] : 1;
      t.w_size[i] += lr * (t.m_size[i] / m_scale) / (root + o.eps) * doubt;
    }
  }
  return t;
}

Trajectory rmsprop_formula(const RmspropOpts& o, const Setting& s, const Slab& slab) {
  Trajectory t{slab.w, slab.m, slab.v, absolute(slab.w), absolute(slab.m), slab.v};
  for (int step = 0; step < kSteps; ++step) {
    if (step == s.overflow) continue;
    const double lr = s.lr_at(step);
    for (std::size_t i = 0; i < t.w.size(); ++i) {
      const double dw = slab.gradient(step, i);
      const double g = dw + o.weight_decay * t.w[i];
      const double g_size = std::abs(dw) + o.weight_decay * t.w_size[i];
      t.v[i] = o.alpha * t.v[i] + (1 - o.alpha) * g * g;
      t.v_size[i] = o.alpha * t.v_size[i] + (1 - o.alpha) * g_size * g_size;
      const double root = std::sqrt(t.v[i]) + o.eps;
      t.m[i] = o.momentum * t.m[i] + g / root;
      const double doubt = t.v[i] > 0 ? 1 + t.v_size[i] / t.v[i] : 1;
      t.m_size[i] = o.momentum * t.m_size[i] + g_size / root * doubt;
      t.w[i] -= lr * t.m[i];
      t.w_size[i] += lr * t.m_size[i];
      if (o.momentum == 0) t.m[i] = t.m_size[i] = 0;
    }
  }
  return t;
}

constexpr double kRoundings = 4 * kSteps;

Problem common_problem(const std::string& name,
                       DType dtype,
                       const Setting& s,
                       const Slab& slab,
                       const Budget& w_budget) {
  Problem problem{.name = name, .pass = "step", .dtype = dtype};
  problem.slots = {state_slot({.step = s.first_step,
                               .cursor = 128,
                               .lr = s.lr,
                               .updates = s.first_step,
                               .momentum = static_cast<float>(s.momentum_at(0, -1)),
                               .loss_scale = s.loss_scale,
                               .growth_interval = s.scaled() ? kGrowth : 0,
                               .skipped = s.skipped},
                              Role::inout),
                   wide(inout("w", slab.shape, slab.w, w_budget))};
  if (s.copy) problem.slots.push_back(out("copy", slab.shape, w_budget));
  for (const auto& [list, values] : {std::pair{"rates", &s.rates}, {"momenta", &s.momenta}}) {
    const Shape shape = features(1, static_cast<std::int64_t>(values->size()));
    if (!values->empty()) problem.slots.push_back(in(list, DType::f32, shape, *values));
  }
  for (int step = 0; step < kSteps; ++step) {
    problem.slots.push_back(
        in(fmt::format("dw{}", step), slab.shape, slab.dw[static_cast<std::size_t>(step)]));
  }
  return problem;
}

// Looks for overflows as training in f16 does.
Tensor gradients_of(Call& call, const Setting& s, int step) {
  const Tensor dw = call[fmt::format("dw{}", step)];
  if (s.scaled()) find_overflow(call.ctx(), call.state(), dw, 0);
  return dw;
}

void end_of_step(Call& call) {
  advance(call.ctx(), {.samples = kBatch}, call.state(), call["rates"], call["momenta"]);
}

Problem sgd_problem(const SgdOpts& opts, const Setting& s, DType dtype) {
  const std::string name = "sgd/" + s.name;
  const Slab slab(name, s, dtype);
  const Trajectory t = sgd_formula(opts, s, slab);
  Problem problem = common_problem(name, dtype, s, slab, {kRoundings, t.w_size});
  if (opts.momentum != 0)
    problem.slots.push_back(wide(inout("m", slab.shape, slab.m, {kRoundings, t.m_size})));
  problem.body = [opts, s](Call& call) {
    for (int step = 0; step < kSteps; ++step) {
      const Tensor dw = gradients_of(call, s, step);
      sgd_step(call.ctx(), opts, call.state(), call["w"], dw, call["m"], call["copy"]);
      end_of_step(call);
    }
  };
  return problem;
}

Problem adam_problem(const AdamOpts& opts, const Setting& s, DType dtype) {
  const std::string name = "adam/" + s.name;
  const Slab slab(name, s, dtype);
  const Trajectory t = adam_formula(opts, s, slab);
  Problem problem = common_problem(name, dtype, s, slab, {kRoundings, t.w_size});
  problem.slots.push_back(wide(inout("m", slab.shape, slab.m, {kRoundings, t.m_size})));
  problem.slots.push_back(wide(inout("v", slab.shape, slab.v, {kRoundings, t.v_size})));
  problem.body = [opts, s](Call& call) {
    for (int step = 0; step < kSteps; ++step) {
      const Tensor dw = gradients_of(call, s, step);
      const Tensor w = call["w"], m = call["m"], v = call["v"];
      adam_step(call.ctx(), opts, call.state(), w, dw, m, v, call["copy"]);
      end_of_step(call);
    }
  };
  return problem;
}

Problem rmsprop_problem(const RmspropOpts& opts, const Setting& s, DType dtype) {
  const std::string name = "rmsprop/" + s.name;
  const Slab slab(name, s, dtype);
  const Trajectory t = rmsprop_formula(opts, s, slab);
  Problem problem = common_problem(name, dtype, s, slab, {kRoundings, t.w_size});
  if (opts.momentum != 0)
    problem.slots.push_back(wide(inout("m", slab.shape, slab.m, {kRoundings, t.m_size})));
  problem.slots.push_back(wide(inout("v", slab.shape, slab.v, {kRoundings, t.v_size})));
  problem.body = [opts, s](Call& call) {
    for (int step = 0; step < kSteps; ++step) {
      const Tensor dw = gradients_of(call, s, step);
      const Tensor w = call["w"], m = call["m"], v = call["v"];
      rmsprop_step(call.ctx(), opts, call.state(), w, dw, m, v, call["copy"]);
      end_of_step(call);
    }
  };
  return problem;
}

std::vector<std::pair<SgdOpts, Setting>> sgd_cases() {
  return {{{}, {"plain", 1000}},
          {{}, {"one_weight", 1}},
          {{}, {"three_weights", 3, 0.9f}},
          {{.weight_decay = 1e-3}, {"weight_decay", 1003}},
          {{.momentum = 0.9}, {"momentum", 777}},
          {{.momentum = 0.5}, {"fc2_mnist", 6442}},
          {{.momentum = 0.9, .weight_decay = 0.1}, {"momentum_decay", 501, 0.1f}},
          {{.momentum = 0.9, .weight_decay = 0.01, .nesterov = true}, {"nesterov", 129}},
          {{.momentum = 0.9}, {"resumed", 65, 0.1f, 1000, false}},
          {{.momentum = 0.9}, {"no_learning", 65, 0.0f}},
          {{.momentum = 0.9}, {.name = "no_copy", .count = 65, .copy = false}},
          {{}, {.name = "rates", .count = 65, .first_step = 10, .rates = some_rates()}},
          {{.momentum = 0.9, .nesterov = true},
           {.name = "cycled", .count = 333, .rates = some_rates(), .momenta = some_momenta()}},
          {{}, {.name = "scaled", .count = 333, .loss_scale = 1024}},
          {{.momentum = 0.9, .weight_decay = 0.1},
           {.name = "overflow", .count = 333, .loss_scale = 1024, .overflow = 2}}};
}

std::vector<std::pair<AdamOpts, Setting>> adam_cases() {
  return {{{}, {"plain", 1000}},
          {{}, {"one_weight", 1}},
          {{}, {"seven_weights", 7}},
          {{.weight_decay = 1e-3}, {"lenet_bn", 61750, 1e-4f}},
          {{.weight_decay = 0.3}, {"strong_decay", 333}},
          {{.weight_decay = 0.1, .decoupled = true}, {"decoupled", 333}},
          {{.beta1 = 0.5, .beta2 = 0.9, .eps = 1e-3}, {"other_betas", 129}},
          {{.beta1 = 0}, {"no_first_moment", 129}},
          {{}, {"resumed", 65, 1e-3f, 1000, false}},
          {{}, {"long_run", 65, 1e-3f, 1'000'000'000, false}},
          {{}, {.name = "no_copy", .count = 65, .copy = false}},
          {{}, {.name = "cycled", .count = 333, .rates = some_rates(), .momenta = some_momenta()}},
          {{.beta1 = 0.5, .weight_decay = 0.1, .decoupled = true},
           {.name = "cycled_decoupled", .count = 65, .first_step = 7, .momenta = some_momenta()}},
          {{}, {.name = "scaled", .count = 333, .loss_scale = 1024}},
          {{.weight_decay = 0.1},
           {.name = "overflow", .count = 333, .loss_scale = 1024, .overflow = 1}},
          {{},
           {.name = "after_skips",
            .count = 65,
            .first_step = 20,
            .loss_scale = 4,
            .overflow = 3,
            .skipped = 17}}};
}

std::vector<std::pair<RmspropOpts, Setting>> rmsprop_cases() {
  return {
      {{}, {"plain", 1000}},
      {{}, {"one_weight", 1}},
      {{.weight_decay = 0.1}, {"decay", 333}},
      {{.momentum = 0.9}, {"momentum", 129}},
      {{.alpha = 0.9, .eps = 1e-3, .weight_decay = 0.01, .momentum = 0.5}, {"all", 77, 0.1f}},
      {{.momentum = 0.9}, {"resumed", 65, 1e-3f, 1000, false}},
      {{}, {.name = "no_copy", .count = 65, .copy = false}},
      {{.momentum = 0.9}, {.name = "overflow", .count = 333, .loss_scale = 1024, .overflow = 1}}};
}

void sgd(Table& table) {
  for (const auto& [opts, setting] : sgd_cases()) table.check(sgd_problem, opts, setting);
  table.check(sgd_problem({}, {"more_than_a_grid", kMoreThanAGrid}, DType::f32));
}

void adam(Table& table) {
  for (const auto& [opts, setting] : adam_cases()) table.check(adam_problem, opts, setting);
  table.check(adam_problem({}, {"more_than_a_grid", kMoreThanAGrid}, DType::f32));
}

void rmsprop(Table& table) {
  for (const auto& [opts, setting] : rmsprop_cases()) table.check(rmsprop_problem, opts, setting);
  table.check(rmsprop_problem({}, {"more_than_a_grid", kMoreThanAGrid}, DType::f32));
}

// What ref makes of the problem, against the formula.
void check_formula(Table& table, const Problem& problem, const Trajectory& t) {
  table.verify(problem.name, "formula", [&](Context&) {
    std::vector<std::string> failures;
    const Outcome outcome = execute_ref(problem);
    for (const auto& [name, want] : {std::pair{"w", &t.w}, {"m", &t.m}, {"v", &t.v}}) {
      const auto found = outcome.values.find(name);
      if (found == outcome.values.end()) continue;
      for (std::size_t i = 0; i < want->size(); ++i) {
        const double got = found->second[i], should = (*want)[i];
        if (!(std::abs(got - should) <= 1e-13 * (1 + std::abs(should))))
          failures.push_back(fmt::format("{} element {} is {}, not {}", name, i, got, should));
      }
    }
    return failures;
  });
}

void formulas(Table& table) {
  for (const auto& [opts, setting] : sgd_cases()) {
    const Slab slab("sgd/" + setting.name, setting, DType::f32);
    check_formula(table, sgd_problem(opts, setting, DType::f32), sgd_formula(opts, setting, slab));
  }
  for (const auto& [opts, setting] : adam_cases()) {
    const Slab slab("adam/" + setting.name, setting, DType::f32);
    check_formula(
        table, adam_problem(opts, setting, DType::f32), adam_formula(opts, setting, slab));
  }
  for (const auto& [opts, setting] : rmsprop_cases()) {
    const Slab slab("rmsprop/" + setting.name, setting, DType::f32);
    check_formula(
        table, rmsprop_problem(opts, setting, DType::f32), rmsprop_formula(opts, setting, slab));
  }
}

}  // namespace

void add_optimizer(Suite& suite) {
  suite.add("Sgd", sgd);
  suite.add("Adam", adam);
  suite.add("Rmsprop", rmsprop);
  suite.add_gradients("Formulas", formulas);
}

}  // namespace lamina::suite
