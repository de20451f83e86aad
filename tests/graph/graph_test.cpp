// Names, shapes, errors and fusion of graphs.
// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/graph.h"

#include <gtest/gtest.h>

#include "engine/graph/fuse.h"
#include "kernels/conv2d.h"
#include "layers/activation.h"
#include "layers/add.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/lrn.h"
#include "layers/pool.h"
#include "nets/registry.h"
#include "tests/graph/sum_layer.h"

namespace lamina {
namespace {

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Graph, ShapesFollowTheLayers) {
  Graph g("Net", {1, 28, 28, 3});
  ValueId x =
      nn::conv2d(g, "conv", g.input(), {.k = 8, .kernel = {3, 5}, .stride = {2, 1}, .pad = {1, 0}});
  EXPECT_EQ(g.shape(x), (Shape{1, 14, 24, 8}));
  x = nn::max_pool2d(g, "pool", x, {.kernel = 3, .stride = 2, .ceil_mode = true});
  EXPECT_EQ(g.shape(x), (Shape{1, 7, 12, 8}));
  x = nn::flatten(g, "flat", x);
  EXPECT_EQ(g.shape(x).to_string(), "[1, 672]");
}

TEST(Graph, AnErrorNamesTheLayerAndTheShapes) {
  Graph g("Net", {1, 4, 4, 3});
  const std::string text =
      error_of([&] { nn::conv2d(g, "conv9", g.input(), {.k = 8, .kernel = 5}); });
  EXPECT_NE(text.find("conv9"), std::string::npos) << text;
  EXPECT_NE(text.find("5x5"), std::string::npos) << text;
  EXPECT_NE(text.find("[1, 3, 4, 4]"), std::string::npos) << text;

  const std::string linear = error_of([&] { nn::linear(g, "fc", g.input(), {.k = 2}); });
  EXPECT_NE(linear.find("flatten"), std::string::npos) << linear;
  const ValueId y = nn::conv2d(g, "c", g.input(), {.k = 2});
  const std::string sum = error_of([&] { test::sum(g, "join", {g.input(), y}); });
  EXPECT_NE(sum.find("join"), std::string::npos) << sum;
  EXPECT_NE(sum.find("[1, 2, 4, 4]"), std::string::npos) << sum;
}

TEST(Graph, LocalResponseNormKeepsTheShape) {
  Graph g("Net", {1, 4, 4, 3});
  EXPECT_EQ(g.shape(nn::local_response_norm(g, "lrn", g.input(), {.size = 3})),
            (Shape{1, 4, 4, 3}));
  const ValueId flat = nn::flatten(g, "flat", g.input());
  const std::string text = error_of([&] { nn::local_response_norm(g, "lrn2", flat, {}); });
  EXPECT_NE(text.find("lrn2"), std::string::npos) << text;
  EXPECT_NE(text.find("flatten"), std::string::npos) << text;
}

TEST(Graph, NamesAreUniqueAndNested) {
  Graph g("Net", {1, 4, 4, 1});
  {
    const auto outer = g.scope("block", "Sequential");
    const auto inner = g.scope("inner", "Sequential");
    nn::conv2d(g, "0", g.input(), {.k = 1});
  }
  EXPECT_EQ(g.nodes()[0].name, "block.inner.0");
  nn::conv2d(g, "0", g.input(), {.k = 1});
  EXPECT_EQ(g.nodes()[1].name, "0");
  EXPECT_NE(error_of([&] { nn::conv2d(g, "0", g.input(), {.k = 1}); }).find("of their own"),
            std::string::npos);
  // One module without parameters may be called twice.
  nn::relu(g, "relu", nn::relu(g, "relu", g.input()));
}

TEST(Graph, DeclaredNamesComeFirstInTheStateDict) {
  Graph g("Net", {1, 4, 4, 2});
  const auto scope = g.scope("block", "Block");
  g.declare({"b", "a"});
  nn::conv2d(g, "a", g.input(), {.k = 1});
  nn::conv2d(g, "c", g.input(), {.k = 1});
  nn::conv2d(g, "b", g.input(), {.k = 1});
  std::vector<std::string> names;
  for (const Node* node : g.in_state_dict_order()) names.push_back(node->name);
  EXPECT_EQ(names, (std::vector<std::string>{"block.b", "block.a", "block.c"}));
}

TEST(Graph, EvaluationLeavesOutTheAuxiliaryHeads) {
  Graph g("Net", {1, 4, 4, 2});
  const ValueId stem = nn::conv2d(g, "stem", g.input(), {.k = 3});
  const ValueId aux = nn::conv2d(g, "aux", stem, {.k = 3});
  g.set_output(nn::conv2d(g, "head", stem, {.k = 3}));
  g.add_auxiliary(aux, 0.5);
  const Graph pruned = g.without_auxiliary();
  ASSERT_EQ(pruned.nodes().size(), 2u);
  EXPECT_EQ(pruned.nodes()[1].name, "head");
  EXPECT_EQ(pruned.nodes()[1].number, 2u);  // random draws stay
  EXPECT_TRUE(pruned.auxiliary().empty());
}

TEST(Fuse, ActivationsJoinTheirProducers) {
  const Graph g = build_net("lenet_bn");
  const Graph fused = fuse_activations(g);
  // Four ReLUs disappear: behind two batch norms and two linear layers.
  EXPECT_EQ(fused.nodes().size(), g.nodes().size() - 4);
  for (const Node& node : fused.nodes())
    EXPECT_EQ(node.layer->activation(), Act::none) << node.name;
}

TEST(Fuse, AConvolutionTellsWhatItAsksOfItsBackend) {
  Graph g("Net", {1, 9, 9, 4});
  const ValueId x = nn::conv2d(g,
                               "conv",
                               g.input(),
                               {.k = 6,
                                .kernel = {3, 5},
                                .stride = {2, 1},
                                .pad = {1, 2},
                                .dilation = {1, 2},
                                .groups = 2,
                                .bias = false});
  nn::max_pool2d(g, "pool", x, {.kernel = 2});
  const Shape input{8, 9, 9, 4};
  const KernelWork work =
      g.nodes()[0].layer->with_activation(Act::relu)->kernel(std::span(&input, 1));
  EXPECT_EQ(work.op, "conv2d");
  const auto* const desc = std::any_cast<Conv2dDesc>(&work.opts);
  ASSERT_TRUE(desc);
  EXPECT_EQ(desc->x, (Shape{8, 9, 9, 4}));
  EXPECT_EQ(desc->y(), g.shape(x).with_n(8));
  const std::vector<std::int64_t> numbers{desc->k,
                                          desc->r,
                                          desc->s,
                                          desc->stride_h,
                                          desc->stride_w,
                                          desc->pad_h,
                                          desc->pad_w,
                                          desc->dilation_h,
                                          desc->dilation_w,
                                          desc->groups};
  EXPECT_EQ(numbers, (std::vector<std::int64_t>{6, 3, 5, 2, 1, 1, 2, 1, 2, 2}));
  EXPECT_FALSE(desc->bias);
  EXPECT_EQ(desc->act, Act::relu);
  EXPECT_EQ(g.nodes()[1].layer->kernel(std::span(&input, 1)).op, "max_pool");
}

TEST(Fuse, SumsJoinTheBatchNormInFront) {
  Graph g("Net", {1, 4, 4, 2});
  const ValueId conv = nn::conv2d(g, "conv", g.input(), {.k = 2});
  const ValueId norm = nn::batch_norm2d(g, "norm", conv);
  const ValueId shortcut = nn::conv2d(g, "shortcut", g.input(), {.k = 2});
  g.set_output(nn::relu(g, "relu", nn::add(g, "add", norm, shortcut)));
  const Graph fused = fuse(g);
  ASSERT_EQ(fused.nodes().size(), 3u);
  EXPECT_EQ(fused.nodes()[2].name, "norm");  // behind the shortcut, which it reads
  EXPECT_EQ(fused.nodes()[2].inputs, (std::vector<ValueId>{conv, shortcut}));
}

TEST(Fuse, ASumOfANormThatOthersReadStays) {
  Graph g("Net", {1, 4, 4, 2});
  const ValueId norm = nn::batch_norm2d(g, "norm", g.input());
  const ValueId sum = nn::add(g, "add", norm, g.input());
  g.set_output(nn::add(g, "again", sum, norm));
  EXPECT_EQ(fuse(g).nodes().size(), 3u);
}

TEST(Fuse, AScaledSumStaysAndTakesItsActivation) {
  Graph g("Net", {1, 4, 4, 2});
  const ValueId norm = nn::batch_norm2d(g, "norm", g.input());
  const ValueId sum = nn::add(g, "add", g.input(), norm, {.scale = 0.1});
  g.set_output(nn::relu(g, "relu", sum));
  const Graph fused = fuse(g);
  ASSERT_EQ(fused.nodes().size(), 2u);
  EXPECT_EQ(fused.nodes()[1].name, "add");
}

TEST(Fuse, AValueWithTwoReadersStays) {
  Graph g("Net", {1, 4, 4, 2});
  const ValueId conv = nn::conv2d(g, "conv", g.input(), {.k = 2});
  const ValueId act = nn::relu(g, "relu", conv);
  g.set_output(test::sum(g, "sum", {conv, act}));
  EXPECT_EQ(fuse_activations(g).nodes().size(), 3u);
}

TEST(Fuse, TheNetsOutputStays) {
  Graph g("Net", {1, 1, 1, 2});
  const ValueId flat = nn::flatten(g, "flat", g.input());
  const ValueId fc = nn::linear(g, "fc", flat, {.k = 2});
  nn::relu(g, "relu", fc);
  g.set_output(fc);
  EXPECT_EQ(fuse_activations(g).nodes().size(), 3u);
}

TEST(Registry, AnUnknownNetIsARequestErrorWithASuggestion) {
  try {
    build_net("lenet_nb");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::request);
    EXPECT_NE(std::string(error.what()).find("lenet_bn"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lamina
