// The losses of a classifier, their gradients and the metrics they gather.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/loss.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/suite/suite.h"

namespace lamina::suite {
namespace {

struct Family {
  const char* name;
  LossOpts opts;
};
const Family kCrossEntropy{"cross_entropy", {}};
const Family kNll{"nll", {.kind = LossKind::nll}};

// The others, and what changes the targets.
std::vector<Family> further_families() {
  constexpr MixupOpts kMix{.alpha = 0.4, .seed = 5};
  return {{"cross_entropy_smooth", {.smoothing = 0.1}},
          {"cross_entropy_mixup", {.mixup = kMix}},
          {"cross_entropy_both", {.smoothing = 0.3, .mixup = kMix}},
          {"nll_both", {.kind = LossKind::nll, .smoothing = 0.2, .mixup = kMix}},
          {"hinge", {.kind = LossKind::hinge}},
          {"hinge_mixup", {.kind = LossKind::hinge, .mixup = kMix}},
          {"mse", {.kind = LossKind::mse}},
          {"mse_both", {.kind = LossKind::mse, .smoothing = 0.1, .mixup = kMix}},
          {"l1", {.kind = LossKind::l1}},
          {"l1_both", {.kind = LossKind::l1, .smoothing = 0.1, .mixup = kMix}}};
}

struct Case {
  std::string name;
  Shape shape;
  double mean = 0, deviation = 3;
  bool whole = false;  // whole numbers tie for the maximum: the first index is the prediction
};

std::vector<Case> cases() {
  std::vector<Case> all{
      {"one_sample", features(1, 10)},
      {"two_classes", features(5, 2)},
      {"one_class", features(3, 1)},
      {"odd", features(7, 13)},
      {"spatial", {3, 2, 3, 5}},
      {"ties", features(33, 7), 0, 0, true},
      {"large_logits", features(9, 10), 1000},
      {"low_logits", features(9, 10), -1000},
      {"sure_of_itself", features(17, 10), 0, 40},
      {"many_classes", features(5, 1000)},
      {"many_samples", features(500, 3)},  // the last warp of a block has some
      {"lenet_bn@7", features(7, 10)},
      {"lenet_bn@64", features(64, 10)},
  };
  for (int i = 0; i < 15; ++i) {
    const std::string name = fmt::format("random/{}", i);
    Draw draw("loss/" + name);
    all.push_back({name, features(draw.roll(1, 70), draw.roll(2, 50))});
  }
  return all;
}

constexpr float kLossScale = 1024;

Slot gathered(const char* name, DType dtype, const Shape& shape, Values values, Budget budget) {
  return {.name = name,
          .role = Role::inout,
          .dtype = dtype,
          .shape = shape,
          .values = std::move(values),
          .budget = std::move(budget),
          .sparse = true};
}

constexpr std::int64_t kStep = 12;  // draws mixup's weight

// What the loss of a row, and each element of its gradient, are made of.
struct Sizes {
  double loss = 0;
  Values dx;
};

Sizes sizes_of(const LossOpts& opts, const double* row, const Values& target) {
  const std::size_t count = target.size();
  const auto classes = static_cast<double>(count);
  const double best = *std::max_element(row, row + count);
  Sizes sizes{opts.kind == LossKind::cross_entropy ? std::log(classes) + 1 : 0, Values(count)};
  for (std::size_t f = 0; f < count; ++f) {
    const double x = row[f], t = target[f], far = std::abs(x) + t;
    switch (opts.kind) {
      case LossKind::cross_entropy:  // logarithms are distances from the row's largest
        sizes.loss += t * (best - x);
        sizes.dx[f] = std::exp(x - best) * (1 + best - x) + t;
        break;
      case LossKind::nll:
        sizes.loss += t * std::abs(x);
        sizes.dx[f] = t;
        break;
      case LossKind::hinge:
        for (std::size_t label = 0; label < count; ++label)
          sizes.loss += target[label] * (1 + std::abs(x) + std::abs(row[label])) / classes;
        sizes.dx[f] = (target[f] > 0 ? classes : 1) / classes;
        break;
      case LossKind::mse:
        sizes.loss += far * far / classes;
        sizes.dx[f] = 2 * far / classes;
        break;
      case LossKind::l1:
        sizes.loss += far / classes;
        sizes.dx[f] = 1 / classes;
        break;
    }
  }
  return sizes;
}

Problem weighted_problem(const Family& family, const Case& c, const LossOpts& opts, DType dtype) {
  Problem problem{.name = fmt::format("{}/{}", family.name, c.name),
                  .pass = "forward_backward",
                  .dtype = dtype};
  Draw draw(problem.name);
  const std::int64_t samples = c.shape.n, classes = c.shape.per_sample();
  const auto width = static_cast<std::size_t>(classes);
  const Values x =
      rounded(dtype, c.whole ? draw.whole(c.shape) : draw.normal(c.shape, c.mean, c.deviation));
  Values labels = draw.whole(features(1, samples), 0, classes - 1);
  const Values confusion = draw.whole(features(1, classes * classes), 0, 9);
  // Every third sample is classified right.
  for (std::size_t n = 0; n < labels.size(); n += 3) {
    const auto row = x.begin() + static_cast<std::ptrdiff_t>(n * width);
    labels[n] = static_cast<double>(std::max_element(row, row + classes) - row);
  }

  const double own = opts.mixup.active() ? draw_mixup_weight(opts.mixup, kStep) : 1.0;
  const double n_th = 1 / static_cast<double>(samples);
  Values loss_size{0}, dx_size;
  for (std::size_t n = 0; n < labels.size(); ++n) {
    Values target(width, opts.smoothing / static_cast<double>(classes));
    target[static_cast<std::size_t>(labels[n])] += (1 - opts.smoothing) * own;
    target[static_cast<std::size_t>(labels[labels.size() - 1 - n])] +=
        (1 - opts.smoothing) * (1 - own);
    const Sizes sizes = sizes_of(opts, x.data() + n * width, target);
    loss_size[0] += n_th * sizes.loss;
    for (double size : sizes.dx) dx_size.push_back(n_th * size);
  }
  const double roundings =
      8 + std::sqrt(static_cast<double>(classes)) + std::sqrt(static_cast<double>(samples));
  const double total = static_cast<double>(samples);
  problem.slots = {
      in("x", c.shape, x),
      in("labels", DType::i32, features(1, samples), labels),
      wide(out("loss", features(1, 1), {roundings, loss_size})),
      out("dx", c.shape, {roundings, dx_size}),
      gathered("sums",
               DType::f64,
               features(1, kMetricSums),
               {5.5, 3, 41, 7},
               {roundings, {loss_size[0] * total, 0, 0, 0}}),
      gathered("confusion", DType::i64, features(classes, classes), confusion, exactly())};
  if (opts.mixup.active()) problem.slots.push_back(state_slot({.step = kStep}));
  problem.slot("dx").sparse = opts.kind != LossKind::cross_entropy;
  problem.body = [opts](Call& call) {
    const Metrics metrics{call["sums"], call["confusion"]};
    const StepState* const state = call["state"] ? call.state() : nullptr;
    class_loss(
        call.ctx(), opts, call["x"], call["labels"], call["loss"], call["dx"], metrics, state);
  };
  problem.in_place = {{"dx", "x"}};
  return problem;
}

Problem make_problem(const Family& family, const Case& c, DType dtype = DType::f32) {
  return weighted_problem(family, c, family.opts, dtype);
}

// Evaluation wants no gradient; the metrics are optional one by one.
Problem without(Problem problem, const std::string& name) {
  problem.name += "/no_" + name;
  std::erase_if(problem.slots, [&](const Slot& slot) { return slot.name == name; });
  if (name == "dx") problem.in_place.clear();
  return problem;
}

// The gradient alone is scaled.
Problem with_loss_scale(Problem problem) {
  problem.name += "/scaled";
  std::erase_if(problem.slots, [](const Slot& slot) { return slot.name == "state"; });
  problem.slots.push_back(state_slot({.step = kStep, .loss_scale = kLossScale}));
  for (double& size : problem.slot("dx").budget.magnitude) size *= kLossScale;
  return problem;
}

// The head beside the main one: a share of its loss is added to what is there.
Problem auxiliary(const Family& family, const Case& c, DType dtype) {
  LossOpts opts = family.opts;
  opts.weight = 0.3;
  opts.add = true;
  Problem problem = weighted_problem(family, c, opts, dtype);
  problem.name += "/auxiliary";
  Slot& loss = problem.slot("loss");
  loss.role = Role::inout;
  loss.values = {2.5};
  for (double& size : loss.budget.magnitude) size = 2.5 + opts.weight * size;
  for (double& size : problem.slot("dx").budget.magnitude) size *= opts.weight;
  return problem;
}

void check_all(Table& table, const Family& family) {
  for (const Case& c : cases()) {
    table.check(make_problem, family, c);
    for (const char* name : {"dx", "sums", "confusion"})
      table.check([&](DType dtype) { return without(make_problem(family, c, dtype), name); });
    table.check([&](DType dtype) {
      const Problem problem = make_problem(family, c, dtype);
      return without(without(without(problem, "dx"), "sums"), "confusion");
    });
    table.check([&](DType dtype) { return with_loss_scale(make_problem(family, c, dtype)); });
    table.check([&](DType dtype) { return auxiliary(family, c, dtype); });
  }
}

void cross_entropy(Table& table) {
  check_all(table, kCrossEntropy);
  // More samples than a grid has warps.
  table.check(
      make_problem(kCrossEntropy, {"more_than_a_grid", features(kMoreThanAGrid / 32 + 1, 2)}));
}

void nll(Table& table) { check_all(table, kNll); }

void others(Table& table) {
  for (const Family& family : further_families()) {
    for (const Case& c : cases()) {
      if (!c.name.starts_with("random")) table.check(make_problem, family, c);
    }
    const Case odd = cases()[3];
    table.check([&](DType dtype) { return without(make_problem(family, odd, dtype), "dx"); });
    table.check([&](DType dtype) { return with_loss_scale(make_problem(family, odd, dtype)); });
    table.check([&](DType dtype) { return auxiliary(family, odd, dtype); });
  }
}

void match_differences(Table& table) {
  std::vector<Family> families = further_families();
  families.insert(families.end(), {kCrossEntropy, kNll});
  for (const Shape& shape : {features(5, 7), Shape{2, 2, 1, 3}}) {
    for (const Family& family : families)
      table.check_gradients(
          make_problem(family, {"difference", shape, 0, 1}), "loss", "", {{"x", "dx"}});
  }
}

// The samples' losses and the predictions, worked out by hand.
void metrics_of_a_known_batch(Table& table) {
  table.verify("nll/known", "forward_backward", [](Context& ctx) {
    Problem problem = make_problem(kNll, {"known", features(4, 3)});
    problem.in_place.clear();
    problem.slot("x").values = {-1, -2, -3, -5, -0.5, -0.5, -4, -4, -0.25, -2, -1, -8};
    problem.slot("labels").values = {0, 2, 2, 2};
    problem.slot("confusion").values = Values(9, 0);
    problem.slot("sums").values = {10, 20, 30, 1};
    const auto values = execute(ctx, DType::f32, problem).values;
    const std::map<std::string, Values> known{
        {"loss", {2.4375}},
        {"sums", {19.75, 22, 34, 5}},
        {"confusion", {1, 0, 0, 0, 0, 0, 0, 2, 1}},
        {"dx", {-0.25, 0, 0, 0, 0, -0.25, 0, 0, -0.25, 0, 0, -0.25}}};
    std::vector<std::string> failures;
    for (const auto& [name, want] : known)
      if (values.at(name) != want)
        failures.push_back(fmt::format(
            "{} is {}, not {}", name, fmt::join(values.at(name), " "), fmt::join(want, " ")));
    return failures;
  });
}

// Ties, and a label in the fifth and in the sixth place.
void first_five_of_a_known_batch(Table& table) {
  table.verify("nll/first_five", "forward_backward", [](Context& ctx) {
    Problem problem = make_problem(kNll, {"first_five", features(5, 7)});
    problem.in_place.clear();
    Values& x = problem.slot("x").values;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = -static_cast<double>(i % 7);
    std::fill(x.begin() + 28, x.end(), -1.0);  // the last sample: all alike
    problem.slot("labels").values = {4, 5, 6, 0, 5};
    problem.slot("sums").values = {0, 0, 0, 0};
    const Values sums = execute(ctx, DType::f32, problem).values.at("sums");
    std::vector<std::string> failures;
    if (sums != Values{16, 1, 5, 2})
      failures.push_back(fmt::format("sums are {}, not 16 1 5 2", fmt::join(sums, " ")));
    return failures;
  });
}

}  // namespace

void add_loss(Suite& suite) {
  suite.add("CrossEntropy", cross_entropy);
  suite.add("Nll", nll);
  suite.add("Others", others);
  suite.add("MetricsOfAKnownBatch", metrics_of_a_known_batch);
  suite.add("FirstFiveOfAKnownBatch", first_five_of_a_known_batch);
  suite.add_gradients("MatchDifferences", match_differences);
}

}  // namespace lamina::suite
