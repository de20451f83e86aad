// The feature maps of a net whose outputs are known.
// SPDX-License-Identifier: Apache-2.0
#include "engine/train/feature_maps.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/context.h"
#include "layers/activation.h"
#include "layers/conv2d.h"
#include "layers/flatten.h"
#include "layers/linear.h"

namespace lamina {
namespace {

TEST(FeatureMaps, AreTheOutputsOfTheFirstConvolutions) {
  // The first layer gives x and -2x, the second the difference of their positive parts: x again.
  Graph graph("Net", {1, 2, 2, 1});
  ValueId x = nn::conv2d(graph, "a", graph.input(), {.k = 2, .kernel = 1, .bias = false});
  x = nn::relu(graph, "relu", x);
  x = nn::conv2d(graph, "b", x, {.k = 1, .kernel = 1, .bias = false});
  x = nn::relu(graph, "relu", x);
  x = nn::linear(graph, "fc", nn::flatten(graph, "flatten", x), {.k = 2});
  graph.set_output(x);

  Context ctx = make_context({.backend = BackendKind::cpu, .threads = 1});
  Model model(ctx, graph);
  model.initialise(1);
  TensorFile weights = model.state_dict();
  const auto set = [&](std::size_t tensor, std::vector<float> values) {
    std::copy(values.begin(), values.end(), weights.tensors[tensor].as<float>().begin());
  };
  set(0, {1, -2});
  set(1, {1, -1});
  model.load_state_dict(weights, "the test");

  Dataset data{.count = 2, .h = 2, .w = 2, .c = 1, .classes = 2};
  data.images = {9, 9, 9, 9, 0, 51, 102, 255};
  data.labels = {0, 1};
  const DeviceDataset device_data(ctx, data);
  const std::vector<FeatureMaps> maps = first_features(model, device_data, {}, 1);
  ASSERT_EQ(maps.size(), 2u);
  EXPECT_EQ(maps[0].layer, "a");
  EXPECT_EQ(maps[0].c, 2);
  EXPECT_FLOAT_EQ(static_cast<float>(maps[0].low), -2);
  EXPECT_FLOAT_EQ(static_cast<float>(maps[0].high), 1);
  ASSERT_EQ(maps[0].tiles.size(), 2u);
  EXPECT_EQ(maps[0].tiles[0], (std::vector<std::uint8_t>{170, 187, 204, 255}));
  EXPECT_EQ(maps[0].tiles[1], (std::vector<std::uint8_t>{170, 136, 102, 0}));
  EXPECT_EQ(maps[1].layer, "b");
  EXPECT_EQ(maps[1].tiles[0], (std::vector<std::uint8_t>{0, 51, 102, 255}));
  EXPECT_EQ(first_features(model, device_data, {}, 1, {.layers = 1}).size(), 1u);
}

}  // namespace
}  // namespace lamina
