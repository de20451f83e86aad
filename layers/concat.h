// Channels of several branches side by side (PyTorch: torch.cat(x, 1)), the end of an Inception
// block, and zero channels around a map (F.pad on the channel axis).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/graph/graph.h"

namespace lamina::nn {

// All of one height and width. Summaries do not list it: it is a call in every definition.
ValueId concat(Graph& graph, const std::string& name, const std::vector<ValueId>& x);

struct PadChannelsOpts {
  std::int64_t front = 0, back = 0;  // channels of zeros
};
ValueId pad_channels(Graph& graph, const std::string& name, ValueId x, const PadChannelsOpts& opts);

}  // namespace lamina::nn
