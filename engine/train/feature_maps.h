// What layers of a net make of an image, as grey pictures.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/data/device_dataset.h"
#include "engine/graph/model.h"

namespace lamina {

struct FeatureMaps {
  std::string layer;                             // "conv1.0"
  std::int64_t h = 0, w = 0, c = 0;              // of the layer's output
  std::int64_t tile_h = 0, tile_w = 0;           // of a picture: large maps are made smaller
  double low = 0, high = 0;                      // of the pictures: what black and white are
  std::vector<std::vector<std::uint8_t>> tiles;  // [tile_h,tile_w], of the first maps
};

struct FeatureOpts {
  std::vector<std::string> names = {};  // of layers; empty: the first convolutions
  std::size_t layers = 3, maps = 16;    // at most; `layers` of convolutions
  std::int64_t side = 64;               // of a picture, at most
};

// The layers of a net that can be named: those that compute something in evaluation. A name may
// come twice, where a layer without parameters is called twice.
std::vector<Node> feature_layers(const Graph& graph);

// The outputs of layers in eval mode, each before the activation behind it. In the order of the
// names; those of equal name in the order in which they run. Allocates what one image needs and
// gives it back.
std::vector<FeatureMaps> feature_maps(Model& model,
                                      const DeviceDataset& data,
                                      const PrepareOpts& scaling,
                                      std::int32_t sample,
                                      const FeatureOpts& opts = {});

// One layer's pictures from its values [h,w,c]; all on one scale, from the lowest to the highest.
FeatureMaps draw_features(const std::string& layer,
                          const Shape& shape,
                          std::span<const float> values,
                          const FeatureOpts& opts = {});

}  // namespace lamina
