// The feature maps of a net whose outputs are known.
// SPDX-License-Identifier: Apache-2.0
#include "engine/train/feature_maps.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/train/feature_sheet.h"
#include "kernels/context.h"
#include "layers/activation.h"
#include "layers/conv2d.h"
#include "layers/flatten.h"
#include "layers/linear.h"

namespace lamina {
namespace {

// The first layer gives x and -2x, the second the difference of their positive parts: x again.
Graph known_net() {
  Graph graph("Net", {1, 2, 2, 1});
  ValueId x = nn::conv2d(graph, "a", graph.input(), {.k = 2, .kernel = 1, .bias = false});
  x = nn::relu(graph, "relu", x);
  x = nn::conv2d(graph, "b", x, {.k = 1, .kernel = 1, .bias = false});
  x = nn::relu(graph, "relu", x);
  x = nn::linear(graph, "fc", nn::flatten(graph, "flatten", x), {.k = 2});
  graph.set_output(x);
  return graph;
}

// Its maps of the second of two images.
std::vector<FeatureMaps> known_maps(const FeatureOpts& opts) {
  Context ctx = make_context({.backend = BackendKind::cpu, .threads = 1});
  Model model(ctx, known_net());
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
  return feature_maps(model, device_data, {}, 1, opts);
}

TEST(FeatureMaps, AreTheOutputsOfTheFirstConvolutions) {
  const std::vector<FeatureMaps> maps = known_maps({});
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
  EXPECT_EQ(known_maps({.layers = 1}).size(), 1u);
}

TEST(FeatureMaps, AreThoseOfTheNamedLayersInTheirOrder) {
  const std::vector<FeatureMaps> maps = known_maps({.names = {"b", "relu", "fc"}});
  std::string names;
  for (const FeatureMaps& layer : maps) names += layer.layer + " ";
  EXPECT_EQ(names, "b relu relu fc ") << "both calls of the layer that is called twice";
  EXPECT_FLOAT_EQ(static_cast<float>(maps[1].low), 0);
  EXPECT_EQ(maps[1].c, 2);
  EXPECT_EQ(maps[2].c, 1);
  std::string all;
  for (const Node& node : feature_layers(known_net())) all += node.name + " ";
  EXPECT_EQ(all, "a relu b relu fc ") << "a flatten computes nothing";
}

TEST(FeatureSheet, HoldsAllPanels) {
  FeatureView view{.h = 2, .w = 2, .c = 3, .pixels = std::vector<std::uint8_t>(12, 9)};
  const std::vector<float> values(4 * 5, 1.0F);  // [2,2,5]
  for (std::size_t layers = 0; layers < 7; ++layers) {
    const Picture sheet = feature_sheet(view, "an image");
    EXPECT_EQ(std::ssize(sheet.pixels), sheet.h * sheet.w * 3);
    // The input, as large as four by four of the others.
    EXPECT_EQ(std::count(sheet.pixels.begin(), sheet.pixels.end(), 9), 2 * 2 * 135 * 135 * 3);
    // The maps are all black: 5 of 2 x 2 pixels, each enlarged 32 times.
    EXPECT_EQ(std::count(sheet.pixels.begin(), sheet.pixels.end(), 0),
              static_cast<std::ptrdiff_t>(layers) * 5 * 64 * 64 * 3);
    for (std::int64_t y = 1; y <= sheet.h; ++y) {
      const auto end = sheet.pixels.begin() + y * sheet.w * 3;
      ASSERT_EQ(std::count(end - 9, end, 255), 9) << "nothing reaches the right margin";
    }
    view.layers.push_back(
        draw_features(std::string(10 * layers, 'n'), {1, 2, 2, 5}, values, {.maps = 16}));
  }
}

}  // namespace
}  // namespace lamina
