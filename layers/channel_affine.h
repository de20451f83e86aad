// A fixed scale and shift for each channel, y = scale[c] * x + shift[c]: what a definition does to
// its input images in front of the first layer (torchvision's transform_input).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/graph/graph.h"

namespace lamina::nn {

struct ChannelAffineOpts {
  std::vector<float> scale, shift;  // one element a channel
};

ValueId channel_affine(Graph& graph,
                       const std::string& name,
                       ValueId x,
                       const ChannelAffineOpts& opts);

}  // namespace lamina::nn
