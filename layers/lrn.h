// Local response normalisation across channels (PyTorch: nn.LocalResponseNorm).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/graph/graph.h"

namespace lamina::nn {

struct LocalResponseNormOpts {
  std::int64_t size = 5;  // channels
  double alpha = 1e-4, beta = 0.75;
  double k = 1;
};

ValueId local_response_norm(Graph& graph,
                            const std::string& name,
                            ValueId x,
                            const LocalResponseNormOpts& opts);

}  // namespace lamina::nn
