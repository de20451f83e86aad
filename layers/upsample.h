// Bilinear resize (PyTorch: nn.Upsample or F.interpolate with mode='bilinear',
// align_corners=False).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/graph/graph.h"
#include "layers/size2.h"

namespace lamina::nn {

struct UpsampleOpts {
  Size2 size = 1;
  bool functional = false;
};

ValueId upsample(Graph& graph, const std::string& name, ValueId x, const UpsampleOpts& opts);

}  // namespace lamina::nn
