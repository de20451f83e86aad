// Every pass of the graph compiler can be switched off by name, and changes what is done, not what
// comes out.
// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/passes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/graph/plan.h"
#include "kernels/context.h"
#include "tests/graph/runner.h"
#include "tests/small_nets.h"

namespace lamina {
namespace {

using test::PassResult;
using test::run_pass;

constexpr Pass kAll[] = {Pass::fuse_sums,
                         Pass::fuse_activations,
                         Pass::concat_in_place,
                         Pass::recompute,
                         Pass::share_memory};

Plan plan_of_graph(Graph graph, const std::vector<std::string>& off) {
  Context ctx = make_context({.backend = BackendKind::cpu});
  Model model(ctx, std::move(graph));
  return plan_of(model, Program(model, {.batch = 4, .passes = PassSet::without(off)}));
}

Plan plan_without(const std::string& net, const std::vector<std::string>& off) {
  return plan_of_graph(test::small_net(net), off);
}

std::int64_t notes_of(const Plan& plan, Pass pass) {
  return std::count_if(
      plan.notes.begin(), plan.notes.end(), [&](const PassNote& n) { return n.pass == pass; });
}

TEST(Passes, AreSwitchedOffByName) {
  for (const Pass off : kAll) {
    const std::vector<std::string> names{std::string(info_of(off).name)};
    const PassSet set = PassSet::without(names);
    for (const Pass pass : kAll) EXPECT_EQ(set.has(pass), pass != off) << info_of(pass).name;
  }
  try {
    PassSet().turn_off("fuse_everything");
    FAIL() << "an unknown pass was taken";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("fuse_everything"), std::string::npos);
    for (const Pass pass : kAll)
      EXPECT_NE(text.find(info_of(pass).name), std::string::npos) << text;
  }
}

// resnet18 has eight blocks, each with a sum behind a batch norm; and 17 activations. densenet121
// writes all of a block into one map.
TEST(Passes, SayWhatTheyDid) {
  const Plan all = plan_without("resnet18", {});
  EXPECT_EQ(notes_of(all, Pass::fuse_sums), 8);
  EXPECT_EQ(notes_of(all, Pass::fuse_activations), 17);
  EXPECT_EQ(notes_of(all, Pass::concat_in_place), 0);
  const auto first = std::find_if(all.notes.begin(), all.notes.end(), [](const PassNote& n) {
    return n.pass == Pass::fuse_sums;
  });
  EXPECT_EQ(first->text, "layer1.0.bn2 takes in layer1.0.add");

  const Plan none = plan_without(
      "resnet18", {"fuse_sums", "fuse_activations", "concat_in_place", "share_memory"});
  EXPECT_TRUE(none.notes.empty());
  EXPECT_EQ(none.rows.size(), all.rows.size() + 8 + 17);
  EXPECT_GT(none.tensor_bytes, all.tensor_bytes);
  EXPECT_GE(none.tensor_bytes, none.unshared_bytes);
  EXPECT_LT(all.tensor_bytes, all.unshared_bytes);

  // In its full width: slices start at whole vectors.
  const Graph dense = build_net("densenet121", {.classes = 10, .size = 32});
  EXPECT_GT(notes_of(plan_of_graph(dense, {}), Pass::concat_in_place), 50);
  EXPECT_EQ(notes_of(plan_of_graph(dense, {"concat_in_place"}), Pass::concat_in_place), 0);
}

TEST(Passes, ThePlanNamesEveryLayerAndPass) {
  const Plan plan = plan_without("lenet_bn", {});
  const std::string table = plan_table(plan);
  for (const PlanRow& row : plan.rows) EXPECT_NE(table.find(row.name), std::string::npos);
  for (const Pass pass : kAll) EXPECT_NE(table.find(info_of(pass).name), std::string::npos);
  EXPECT_NE(table.find("takes in"), std::string::npos);
}

// oneDNN takes the filters of wide convolutions in blocks of channels; our kernels take all as it
// is.
TEST(Passes, ThePlanCountsReorders) {
  int reorders = 0;
  for (const PlanRow& row : plan_without("resnet50", {}).rows) {
    if (row.implementation.find("oneDNN") == std::string::npos) {
      EXPECT_EQ(row.reorders, 0) << row.name << ": " << row.implementation;
    }
    reorders += row.reorders;
  }
  EXPECT_GT(reorders, 0);
}

// Where memory lies changes no bit; a fused sum or activation rounds at other places.
class OnePassOff : public testing::TestWithParam<std::string> {};

TEST_P(OnePassOff, ComputesTheSame) {
  Context ctx = make_context({.backend = BackendKind::cpu});
  const auto result = [&](const PassSet& passes, Mode mode) {
    Model model(ctx, test::small_net(GetParam()));
    model.initialise(7);
    return run_pass(model, {.batch = 3, .mode = mode, .passes = passes, .seed = 9});
  };
  for (const Mode mode : {Mode::train, Mode::eval}) {
    const PassResult all = result({}, mode);
    double largest = 0;
    for (const double value : all.output) largest = std::max(largest, std::abs(value));
    for (const Pass off : kAll) {
      SCOPED_TRACE(info_of(off).name);
      PassSet passes;
      passes.turn_off(off);
      const PassResult part = result(passes, mode);
      if (off != Pass::fuse_sums && off != Pass::fuse_activations) {
        EXPECT_EQ(part.output, all.output);
        EXPECT_EQ(part.loss, all.loss);
        for (std::size_t i = 0; i < all.gradients.tensors.size(); ++i)
          EXPECT_EQ(part.gradients.tensors[i].data, all.gradients.tensors[i].data)
              << all.gradients.tensors[i].name;
        continue;
      }
      ASSERT_EQ(part.output.size(), all.output.size());
      for (std::size_t i = 0; i < all.output.size(); ++i)
        ASSERT_NEAR(part.output[i], all.output[i], 1e-5 * largest);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Nets,
                         OnePassOff,
                         testing::Values("lenet_bn",
                                         "alexnet_mnist",
                                         "googlenet",
                                         "resnet18",
                                         "densenet121",
                                         "mobilenet_v2",
                                         "inception_resnet_v2"));

}  // namespace
}  // namespace lamina
