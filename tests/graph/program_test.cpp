// Programs: fused equals unfused, backends agree, branches add up, batches split, memory is written
// before it is read.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "layers/activation.h"
#include "layers/conv2d.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "nets/registry.h"
#include "tests/graph/runner.h"
#include "tests/graph/sum_layer.h"
#include "tests/small_nets.h"

namespace lamina {
namespace {

using test::element;
using test::PassResult;
using test::relative_difference;
using test::run_pass;

// A pass of one net in one arithmetic.
PassResult pass_of(
    const std::string& net, BackendKind backend, DType dtype, Mode mode, bool fuse = true) {
  Context ctx = make_context({.backend = backend});
  Model model(ctx, test::small_net(net), dtype);
  model.initialise(3);
  return run_pass(
      model,
      {.batch = 3, .mode = mode, .passes = fuse ? PassSet{} : PassSet::unfused(), .seed = 9});
}

double norm(const HostTensor& a, const HostTensor* b = nullptr) {
  double sum = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(a.numel()); ++i) {
    const double value = element(a, i) - (b == nullptr ? 0.0 : element(*b, i));
    sum += value * value;
  }
  return std::sqrt(sum);
}

// A convolution's bias in front of a batch norm has no gradient; what remains of it is rounding.
bool cancels(const TensorFile& gradients, const HostTensor& gradient) {
  if (!gradient.name.ends_with(".bias")) return false;
  const std::string stem = gradient.name.substr(0, gradient.name.size() - 4);
  const HostTensor* weight = gradients.find(stem + "weight");
  return weight != nullptr && norm(gradient) < 1e-10 * norm(*weight);
}

class EveryNet : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Nets, EveryNet, testing::ValuesIn(net_ids()));

// In float64, where nothing hides behind rounding.
TEST_P(EveryNet, FusedEqualsUnfused) {
  for (const Mode mode : {Mode::train, Mode::eval}) {
    const PassResult plain = pass_of(GetParam(), BackendKind::ref, DType::f64, mode, false);
    const PassResult fused = pass_of(GetParam(), BackendKind::ref, DType::f64, mode, true);
    EXPECT_NEAR(fused.loss, plain.loss, 1e-9 * (1 + plain.loss));
    for (const auto& [a, b] :
         {std::pair{&fused.gradients, &plain.gradients}, std::pair{&fused.state, &plain.state}}) {
      for (std::size_t i = 0; i < a->tensors.size(); ++i) {
        if (a->tensors[i].dtype != DType::f64 || cancels(*b, b->tensors[i])) continue;
        EXPECT_LE(relative_difference(a->tensors[i], b->tensors[i]), 1e-9) << a->tensors[i].name;
      }
    }
  }
}

// What float32 costs depends on the net and its weights, so the yardstick is `ref` in float32,
// which rounds every tensor once: the outputs of `cpu` may lie twenty times as far from float64.
// Gradients jump where a ReLU or a pooling decides otherwise on the last bits, and a batch norm
// over three samples magnifies that; so they are held in evaluation, to a hundredth, which a wrong
// term exceeds. tools/compare_torch.py judges them finely, in both modes.
TEST_P(EveryNet, CpuAgreesWithRef) {
  for (const Mode mode : {Mode::train, Mode::eval}) {
    const PassResult truth = pass_of(GetParam(), BackendKind::ref, DType::f64, mode);
    const PassResult once = pass_of(GetParam(), BackendKind::ref, DType::f32, mode);
    const PassResult cpu = pass_of(GetParam(), BackendKind::cpu, DType::f32, mode);
    double size = 0, yardstick = 0, distance = 0;
    for (std::size_t i = 0; i < truth.output.size(); ++i) {
      size = std::hypot(size, truth.output[i]);
      yardstick = std::hypot(yardstick, once.output[i] - truth.output[i]);
      distance = std::hypot(distance, cpu.output[i] - truth.output[i]);
    }
    EXPECT_LE(distance, std::max(20 * yardstick, 0x1p-21 * size));
    if (mode == Mode::train) continue;
    for (std::size_t i = 0; i < truth.gradients.tensors.size(); ++i) {
      const HostTensor& want = truth.gradients.tensors[i];
      EXPECT_LE(norm(cpu.gradients.tensors[i], &want), 1e-2 * norm(want)) << want.name;
    }
  }
}

TEST_P(EveryNet, RepeatsBitForBit) {
  Context cpu = make_context({.backend = BackendKind::cpu});
  std::vector<PassResult> results;
  for (int i = 0; i < 2; ++i) {
    Model model(cpu, test::small_net(GetParam()));
    model.initialise(3);
    results.push_back(run_pass(model, {.batch = 13, .seed = 9}));
  }
  EXPECT_EQ(results[0].output, results[1].output);
  for (std::size_t i = 0; i < results[0].gradients.tensors.size(); ++i) {
    EXPECT_EQ(results[0].gradients.tensors[i].data, results[1].gradients.tensors[i].data)
        << results[0].gradients.tensors[i].name;
  }
}

TEST_P(EveryNet, AnInferenceProgramNeedsLessMemory) {
  Context cpu = make_context({.backend = BackendKind::cpu});
  Model model(cpu, test::small_net(GetParam()));
  const Program train(model, {.batch = 64});
  const Program eval(model, {.batch = 64, .mode = Mode::eval, .backward = false});
  EXPECT_LT(eval.arena_bytes(), train.arena_bytes());
}

TEST_P(EveryNet, EvalOutputsDoNotDependOnTheBatch) {
  Context cpu = make_context({.backend = BackendKind::cpu});
  Model model(cpu, test::small_net(GetParam()));
  model.initialise(3);
  const ProgramOpts opts{.batch = 20, .mode = Mode::eval, .backward = false};
  const PassResult whole = run_pass(model, opts);
  // Another batch may be convolved by other kernels. An output is a sum, some of them far smaller
  // than their terms: it rounds as the largest do. (The most seen over all nets is 1e-6 of it.)
  double largest = 0;
  for (const double value : whole.output) largest = std::max(largest, std::abs(value));
  for (const auto& [first, count] : {std::pair{0, 13}, std::pair{13, 7}}) {
    ProgramOpts part_opts = opts;
    part_opts.batch = count;
    const PassResult part = run_pass(model, part_opts, first);
    for (std::size_t i = 0; i < part.output.size(); ++i) {
      const double expected = whole.output[static_cast<std::size_t>(first) * 10 + i];
      ASSERT_NEAR(part.output[i], expected, 1e-5 * largest);
    }
  }
}

// Two branches from one value, and one layer that reads the same value twice.
Graph branches() {
  Graph g("Branches", {1, 5, 4, 3});
  const ValueId stem = nn::conv2d(g, "stem", g.input(), {.k = 4, .kernel = 3, .pad = 1});
  const ValueId a = nn::activation(g, "a", stem, Act::tanh);
  const ValueId b = nn::conv2d(g, "b", stem, {.k = 4, .kernel = 1});
  const ValueId twice = test::sum(g, "twice", {b, b});
  const ValueId joined = test::sum(g, "join", {a, twice, stem});
  g.set_output(nn::linear(g, "fc", nn::flatten(g, "flat", joined), {.k = 3}));
  return g;
}

TEST(Program, GradientsOfBranchesAddUp) {
  Context ref = make_context({.backend = BackendKind::ref});
  Model model(ref, branches(), DType::f64);
  model.initialise(2);
  const ProgramOpts opts{.batch = 2, .mode = Mode::eval};
  const PassResult at = run_pass(model, opts);
  TensorFile state = model.state_dict();
  constexpr double kStep = 1e-5;
  for (HostTensor& tensor : state.tensors) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(tensor.numel()); i += 3) {
      const double value = tensor.as<double>()[i];
      double loss[2];
      for (int side = 0; side < 2; ++side) {
        tensor.as<double>()[i] = value + (side == 0 ? kStep : -kStep);
        model.load_state_dict(state, "test");
        ProgramOpts forward = opts;
        forward.backward = false;
        loss[side] = run_pass(model, forward).loss;
      }
      tensor.as<double>()[i] = value;
      const double numeric = (loss[0] - loss[1]) / (2 * kStep);
      EXPECT_NEAR(element(*at.gradients.find(tensor.name), i), numeric, 1e-8)
          << tensor.name << " " << i;
    }
  }
}

TEST(Program, BranchesOnTheCpuMatchTheReference) {
  Context ref = make_context({.backend = BackendKind::ref});
  Context cpu = make_context({.backend = BackendKind::cpu});
  Model expected(ref, branches()), actual(cpu, branches());
  expected.initialise(2);
  actual.initialise(2);
  const PassResult a = run_pass(actual, {.batch = 3}), b = run_pass(expected, {.batch = 3});
  for (std::size_t i = 0; i < a.gradients.tensors.size(); ++i) {
    EXPECT_LE(relative_difference(a.gradients.tensors[i], b.gradients.tensors[i]), 1e-5)
        << a.gradients.tensors[i].name;
  }
}

// The gradients of weights apart from those of inputs, which a first layer has no use for.
TEST(Program, ObserversSeeEveryPass) {
  Context cpu = make_context({.backend = BackendKind::cpu});
  Model model(cpu, branches());
  model.initialise(2);
  Program program(model, {.batch = 2});
  Buffer arena = cpu.allocate(program.arena_bytes()), state = cpu.allocate(sizeof(StepState));
  cpu.zero(arena.data(), arena.size());
  cpu.zero(state.data(), state.size());
  program.bind(arena.bytes_at(0), static_cast<const StepState*>(state.data()));
  std::vector<std::string> begun, ended;
  program.set_observer([&](const std::string& name, const char* pass, bool begin) {
    (begin ? begun : ended).push_back(name + ": " + pass);
  });
  program.forward();
  program.loss_and_gradient({});
  program.backward();
  const std::vector<std::string> all{"stem: forward",
                                     "a: forward",
                                     "b: forward",
                                     "twice: forward",
                                     "join: forward",
                                     "fc: forward",
                                     "loss: loss",
                                     "fc: backward weights",
                                     "fc: backward data",
                                     "join: backward",
                                     "twice: backward",
                                     "b: backward weights",
                                     "b: backward data",
                                     "a: backward",
                                     "stem: backward weights"};
  EXPECT_EQ(begun, all);
  EXPECT_EQ(ended, all);
}

TEST(Program, ALayerThatReachesNoLossHasNoGradient) {
  Context cpu = make_context({.backend = BackendKind::cpu});
  Graph g("Side", {1, 1, 1, 4});
  const ValueId flat = nn::flatten(g, "flat", g.input());
  g.set_output(nn::linear(g, "main", flat, {.k = 3}));
  nn::linear(g, "side", flat, {.k = 2});
  Model model(cpu, std::move(g));
  model.initialise(1);
  const PassResult result = run_pass(model, {.batch = 2});
  for (float value : result.gradients.find("side.weight")->as<float>()) EXPECT_EQ(value, 0.0f);
  EXPECT_NE(result.gradients.find("main.weight")->as<float>()[0], 0.0f);
}

}  // namespace
}  // namespace lamina
