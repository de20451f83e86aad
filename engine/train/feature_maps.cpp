// SPDX-License-Identifier: Apache-2.0
#include "engine/train/feature_maps.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/graph/host_values.h"
#include "engine/train/batch_walk.h"

namespace lamina {

namespace {

// One map as the means of its blocks of factor x factor pixels; those at the edge may be smaller.
std::vector<double> shrunk(const Shape& shape,
                           std::span<const float> values,
                           std::int64_t channel,
                           std::int64_t factor) {
  std::vector<double> means;
  for (std::int64_t top = 0; top < shape.h; top += factor) {
    for (std::int64_t left = 0; left < shape.w; left += factor) {
      const std::int64_t bottom = std::min(top + factor, shape.h);
      const std::int64_t right = std::min(left + factor, shape.w);
      double sum = 0;
      for (std::int64_t y = top; y < bottom; ++y) {
        for (std::int64_t x = left; x < right; ++x)
          sum += values[static_cast<std::size_t>((y * shape.w + x) * shape.c + channel)];
      }
      means.push_back(sum / static_cast<double>((bottom - top) * (right - left)));
    }
  }
  return means;
}

}  // namespace

FeatureMaps draw_features(const std::string& layer,
                          const Shape& shape,
                          std::span<const float> values,
                          const FeatureOpts& opts) {
  const std::int64_t factor = (std::max(shape.h, shape.w) + opts.side - 1) / opts.side;
  FeatureMaps maps{.layer = layer,
                   .h = shape.h,
                   .w = shape.w,
                   .c = shape.c,
                   .tile_h = (shape.h + factor - 1) / factor,
                   .tile_w = (shape.w + factor - 1) / factor};
  std::vector<std::vector<double>> pictures;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  const auto count = std::min(static_cast<std::int64_t>(opts.maps), shape.c);
  for (std::int64_t channel = 0; channel < count; ++channel) {
    for (const double value : pictures.emplace_back(shrunk(shape, values, channel, factor))) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  // Weights that are no numbers give maps that are none: black.
  if (!(low <= high)) low = high = 0;
  maps.low = low;
  maps.high = high;
  for (const std::vector<double>& picture : pictures) {
    std::vector<std::uint8_t>& tile = maps.tiles.emplace_back();
    for (const double value : picture) {
      const double grey = high > low ? 255 * (value - low) / (high - low) : 0;
      tile.push_back(std::isfinite(grey) ? static_cast<std::uint8_t>(std::lround(grey)) : 0);
    }
  }
  return maps;
}

std::vector<Node> feature_layers(const Graph& graph) {
  std::vector<Node> layers;
  for (const Node& node : graph.nodes())
    if (!node.layer->is_view(Mode::eval)) layers.push_back(node);
  return layers;
}

std::vector<FeatureMaps> feature_maps(Model& model,
                                      const DeviceDataset& data,
                                      const PrepareOpts& scaling,
                                      std::int32_t sample,
                                      const FeatureOpts& opts) {
  Context& ctx = model.context();
  // Fused, a convolution and what follows it have one output, and which ones are fused depends on
  // the device.
  BatchWalk walk(model,
                 data,
                 scaling,
                 {.batch = 1, .mode = Mode::eval, .backward = false, .passes = PassSet::unfused()},
                 1);
  const Buffer arena = ctx.allocate(walk.arena_bytes());
  const Buffer state = ctx.allocate(sizeof(StepState));
  const StepState start;
  ctx.copy_in(state.data(), &start, sizeof start);
  walk.bind(arena.bytes_at(0), static_cast<const StepState*>(state.data()));
  walk.set_order({&sample, 1});
  Program& program = walk.load(0);

  // A later layer may write over an output: it is read as soon as it is there.
  std::vector<std::pair<std::ptrdiff_t, FeatureMaps>> drawn;  // with their place in the order
  const auto place_of = [&](const Node& node) -> std::ptrdiff_t {
    if (opts.names.empty())
      return node.layer->type() == "Conv2d" && drawn.size() < opts.layers ? 0 : -1;
    const auto found = std::find(opts.names.begin(), opts.names.end(), node.name);
    return found == opts.names.end() ? -1 : found - opts.names.begin();
  };
  std::size_t node = 0;
  program.set_observer([&](const std::string& name, const char*, bool begin) {
    if (begin) return;
    const auto& nodes = program.graph().nodes();
    while (nodes[node].name != name) ++node;  // views are not run
    const std::ptrdiff_t place = place_of(nodes[node]);
    if (place >= 0) {
      const Tensor y = program.tensors_of(node).y;
      drawn.emplace_back(place, draw_features(name, y.shape, read_values(ctx, y), opts));
    }
    ++node;
  });
  program.forward();
  std::stable_sort(
      drawn.begin(), drawn.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<FeatureMaps> layers;
  for (auto& [place, maps] : drawn) layers.push_back(std::move(maps));
  return layers;
}

}  // namespace lamina
