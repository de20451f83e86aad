// What is given up to save memory, and that a net computes the same bits without it.
// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/recompute.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/graph/runner.h"
#include "tests/small_nets.h"

namespace lamina {
namespace {

using test::PassResult;
using test::run_pass;

// Three layers: x is kept, a and b are made from it, c from b; all are read again from step 20 on.
// In between a tensor of 1024 bytes is needed for a moment.
struct Fixture {
  std::vector<Lifetime> lifetimes{{"x", 1024, 0, 24},
                                  {"a", 1024, 1, 22},
                                  {"b", 2048, 2, 21},
                                  {"c", 512, 3, 20},
                                  {"moment", 1024, 10, 11}};
  std::vector<Recomputable> candidates{
      {10, 1, 2, 22, {0}}, {11, 2, 3, 21, {0}}, {12, 3, 4, 20, {2}}};
};

TEST(Recompute, GivesUpNothingThatFits) {
  Fixture f;
  EXPECT_TRUE(recompute_to_fit(f.lifetimes, f.candidates, 5632).empty());
  for (const Lifetime& lifetime : f.lifetimes) EXPECT_LT(lifetime.idle_last, 0);
}

TEST(Recompute, GivesUpTheLargestFirst) {
  Fixture f;
  EXPECT_EQ(recompute_to_fit(f.lifetimes, f.candidates, 4608), std::vector<std::size_t>{1});
  EXPECT_EQ(f.lifetimes[2].idle_first, 4);
  EXPECT_EQ(f.lifetimes[2].idle_last, 20);
  EXPECT_LT(f.lifetimes[1].idle_last, 0);
  EXPECT_EQ(plan_memory(f.lifetimes), 4608u);
}

// c would be made from b, which is not there then.
TEST(Recompute, MakesNothingFromWhatWasGivenUp) {
  Fixture f;
  EXPECT_EQ(recompute_to_fit(f.lifetimes, f.candidates, 0), (std::vector<std::size_t>{1, 0}));
  EXPECT_LT(f.lifetimes[3].idle_last, 0);
}

TEST(Recompute, KeepsWhatWouldCostMoreThanItFrees) {
  Fixture f;
  f.lifetimes[0] = {"x", 1024, 0, 5};
  EXPECT_EQ(recompute_to_fit(f.lifetimes, f.candidates, 0).front(), 1u);  // b is larger than x
  EXPECT_EQ(f.lifetimes[0].last, 21);
  Fixture g;
  g.lifetimes[0] = {"x", 4096, 0, 5};
  EXPECT_EQ(recompute_to_fit(g.lifetimes, g.candidates, 0), std::vector<std::size_t>{2});
  EXPECT_EQ(g.lifetimes[0].last, 5);
}

class OnLittleMemory : public testing::TestWithParam<std::string> {};

TEST_P(OnLittleMemory, ComputesTheSameBits) {
  Context ctx = make_context({.backend = BackendKind::cpu});
  const auto result = [&](std::optional<std::size_t> memory, std::size_t* bytes) {
    Model model(ctx, test::small_net(GetParam()));
    model.initialise(7);
    const ProgramOpts opts{.batch = 3, .seed = 9, .memory = memory};
    *bytes = Program(model, opts).arena_bytes();
    return run_pass(model, opts);
  };
  std::size_t all_bytes = 0, least_bytes = 0, between_bytes = 0;
  const PassResult all = result(std::nullopt, &all_bytes), least = result(0, &least_bytes);
  EXPECT_LT(least_bytes, all_bytes);
  const std::size_t limit = (all_bytes + least_bytes) / 2;
  const PassResult between = result(limit, &between_bytes);
  EXPECT_LE(between_bytes, limit);
  EXPECT_GE(between_bytes, least_bytes);
  for (const PassResult* part : {&least, &between}) {
    EXPECT_EQ(part->output, all.output);
    EXPECT_EQ(part->loss, all.loss);
    for (std::size_t i = 0; i < all.gradients.tensors.size(); ++i)
      EXPECT_EQ(part->gradients.tensors[i].data, all.gradients.tensors[i].data)
          << all.gradients.tensors[i].name;
    for (std::size_t i = 0; i < all.state.tensors.size(); ++i)
      EXPECT_EQ(part->state.tensors[i].data, all.state.tensors[i].data)
          << all.state.tensors[i].name;
  }
}

// Norms, norms with a sum behind them, in front of slices of a concat; pooling and dropout.
INSTANTIATE_TEST_SUITE_P(Nets,
                         OnLittleMemory,
                         testing::Values("resnet_mini",
                                         "alexnet",
                                         "resnet18",
                                         "densenet121",
                                         "mobilenet_v2",
                                         "inception_resnet_v2"));

TEST(OnLittleMemory, IsSwitchedOffByName) {
  Context ctx = make_context({.backend = BackendKind::cpu});
  Model model(ctx, test::small_net("resnet18"));
  const auto bytes = [&](const std::vector<std::string>& off, std::optional<std::size_t> memory) {
    return Program(model, {.batch = 3, .passes = PassSet::without(off), .memory = memory})
        .arena_bytes();
  };
  EXPECT_EQ(bytes({"recompute"}, 0), bytes({}, std::nullopt));
  EXPECT_LT(bytes({}, 0), bytes({"recompute"}, 0));
}

TEST(OnLittleMemory, AnObserverSeesWhatIsMadeAgain) {
  Context ctx = make_context({.backend = BackendKind::cpu});
  Model model(ctx, test::small_net("lenet_bn"));
  Program program(model, {.batch = 3, .memory = 0});
  Buffer arena = ctx.allocate(program.arena_bytes());
  const StepState state;
  program.bind(arena.bytes_at(0), &state);
  std::vector<std::string> seen;
  program.set_observer([&](const std::string& name, const char* pass, bool begin) {
    if (begin && std::string(pass) == "recompute") seen.push_back(name);
  });
  program.forward();
  EXPECT_TRUE(seen.empty());
  program.backward();
  const auto notes = std::count_if(program.notes().begin(), program.notes().end(), [](auto& note) {
    return note.pass == Pass::recompute;
  });
  EXPECT_GT(notes, 0);
  EXPECT_EQ(static_cast<std::ptrdiff_t>(seen.size()), notes);
}

}  // namespace
}  // namespace lamina
