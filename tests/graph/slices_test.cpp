// Concats whose inputs are written in their places: which are, and that nothing else changes.
// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/slices.h"

#include <gtest/gtest.h>

#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/concat.h"
#include "layers/conv2d.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "tests/graph/runner.h"

namespace lamina {
namespace {

using test::PassResult;
using test::run_pass;

ValueId conv_bn(Graph& g, const std::string& name, ValueId x, std::int64_t k) {
  const auto scope = g.scope(name, "Sequential");
  x = nn::conv2d(g, "conv", x, {.k = k, .kernel = 3, .pad = 1, .bias = false});
  return nn::batch_norm2d(g, "norm", x);
}

ValueId head(Graph& g, ValueId x) {
  x = nn::adaptive_avg_pool2d(g, "pool", x, {});
  return nn::linear(g, "fc", nn::flatten(g, "flatten", x), {.k = 5});
}

// Branches of every kind: a norm and a pool (written in place), a convolution (copied on the CPU),
// a norm that a convolution reads as well, a norm whose channels do not fill vectors, the input of
// the block.
Graph inception() {
  Graph g("Inception", {1, 6, 6, 3});
  const ValueId x = conv_bn(g, "stem", g.input(), 16);
  const ValueId plain = conv_bn(g, "plain", x, 32);
  const ValueId bare = nn::conv2d(g, "bare", x, {.k = 16, .kernel = 1});
  const ValueId shared = conv_bn(g, "shared", x, 16);
  const ValueId pooled = nn::max_pool2d(g, "max", x, {.kernel = 3, .stride = 1, .pad = 1});
  const ValueId narrow = conv_bn(g, "narrow", x, 8), rest = conv_bn(g, "rest", shared, 24);
  const ValueId y = nn::concat(g, "cat", {plain, bare, shared, pooled, narrow, rest});
  g.set_output(head(g, nn::concat(g, "twice", {y, x})));
  return g;
}

// Each layer's channels go behind all that it has read: one map for the whole block.
Graph dense_block() {
  Graph g("Dense", {1, 5, 5, 3});
  ValueId x = conv_bn(g, "stem", g.input(), 32);
  for (int i = 0; i < 3; ++i) {
    const auto layer = g.scope("layer" + std::to_string(i), "_DenseLayer");
    ValueId y = nn::batch_norm2d(g, "norm", x);
    y = nn::conv2d(g, "conv", y, {.k = 16, .kernel = 3, .pad = 1, .bias = false});
    x = nn::concat(g, "cat", {x, y});
  }
  g.set_output(head(g, nn::batch_norm2d(g, "last", x)));
  return g;
}

std::string way_of(const Graph& graph, const std::string& name, bool fuse = true) {
  Context ctx = make_context({.backend = BackendKind::cpu});
  Model model(ctx, graph);
  const Program program(model, {.batch = 2, .passes = fuse ? PassSet{} : PassSet::unfused()});
  for (std::size_t i = 0; i < program.graph().nodes().size(); ++i)
    if (program.graph().nodes()[i].name == name) return program.implementation(i);
  return "no such layer";
}

TEST(Slices, AreFoundWhereAllReadersTakeThem) {
  Graph g("Three", {1, 6, 6, 3});
  const ValueId x = conv_bn(g, "stem", g.input(), 16);
  const ValueId a = conv_bn(g, "a", x, 32), b = conv_bn(g, "b", x, 16), c = conv_bn(g, "c", b, 16);
  const ValueId y = nn::concat(g, "cat", {a, b, c, c});
  g.set_output(head(g, y));
  // Norms and concats can; convolutions, and whatever else reads, cannot.
  const auto can = [&](std::size_t node) {
    const std::string type = g.nodes()[node].layer->type();
    return type == "BatchNorm2d" || type == "Concat";
  };
  std::vector<ValueId> storage(g.value_count());
  for (std::size_t v = 0; v < storage.size(); ++v) storage[v] = static_cast<ValueId>(v);
  const std::vector<Slice> slices =
      find_slices(g, storage, {.takes = [&](auto node, auto) { return can(node); }, .makes = can});
  const auto map_of = [&](ValueId v) { return slices[static_cast<std::size_t>(v)].map; };
  EXPECT_EQ(map_of(a), y);
  EXPECT_EQ(slices[static_cast<std::size_t>(a)].first, 0);
  EXPECT_EQ(map_of(b), -1);  // a convolution reads it
  EXPECT_EQ(map_of(c), -1);  // it is there twice
  EXPECT_EQ(map_of(x), -1);
  EXPECT_EQ(map_of(y), -1);

  // A value that shares its memory with another under a second shape stays where it is.
  storage[static_cast<std::size_t>(y)] = a;
  EXPECT_EQ(find_slices(g,
                        storage,
                        {.takes = [&](auto node, auto) { return can(node); },
                         .makes = can})[static_cast<std::size_t>(a)]
                .map,
            -1);
}

TEST(Slices, OfEachNetAreCounted) {
  EXPECT_EQ(way_of(dense_block(), "layer2.cat"), "1 of 2 in place");
  EXPECT_EQ(way_of(dense_block(), "layer0.cat"), "1 of 2 in place");
  EXPECT_EQ(way_of(dense_block(), "layer0.cat", false), "0 of 2 in place");
  // Those of the convolution and those that one reads are copied; `narrow` and `rest` would not
  // start or end with whole vectors.
  EXPECT_EQ(way_of(inception(), "cat"), "2 of 6 in place");
  EXPECT_EQ(way_of(inception(), "twice"), "1 of 2 in place");
}

// Nothing but the place changes where there is nothing to fuse: not a bit of any result.
TEST(Slices, LeaveEveryBitAsItWas) {
  struct Way {
    BackendKind backend;
    DType dtype;
  };
  for (const Graph& graph : {inception(), dense_block()})
    for (const Way& way : {Way{BackendKind::ref, DType::f64}, {BackendKind::cpu, DType::f32}})
      for (const Mode mode : {Mode::train, Mode::eval}) {
        SCOPED_TRACE(graph.title());
        const auto pass = [&](bool fuse) {
          Context ctx = make_context({.backend = way.backend});
          Model model(ctx, graph, way.dtype);
          model.initialise(3);
          return run_pass(
              model, {.batch = 3, .mode = mode, .passes = fuse ? PassSet{} : PassSet::unfused()});
        };
        const PassResult apart = pass(false), in_place = pass(true);
        EXPECT_EQ(apart.output, in_place.output);
        EXPECT_EQ(apart.loss, in_place.loss);
        for (std::size_t i = 0; i < apart.gradients.tensors.size(); ++i)
          EXPECT_EQ(apart.gradients.tensors[i].data, in_place.gradients.tensors[i].data)
              << apart.gradients.tensors[i].name;
        for (std::size_t i = 0; i < apart.state.tensors.size(); ++i)
          EXPECT_EQ(apart.state.tensors[i].data, in_place.state.tensors[i].data)
              << apart.state.tensors[i].name;
      }
}

TEST(Slices, SaveTheMemoryOfTheParts) {
  Context ctx = make_context({.backend = BackendKind::cpu});
  Model model(ctx, dense_block());
  const Program apart(model, {.batch = 8, .passes = PassSet::unfused()}),
      in_place(model, {.batch = 8});
  EXPECT_LT(in_place.arena_bytes(), apart.arena_bytes());
}

}  // namespace
}  // namespace lamina
