// Every network by its id. A net is one free function that builds a Graph, in the file of its
// family.
//
// To add one: write the function, declare it below, add its row to registry.cpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace lamina {

struct NetOpts {
  std::int64_t classes = 0;  // 0: as defined
};

struct NetInfo {
  std::string id;           // "lenet_bn"
  std::string description;  // one line for `lamina nets`
  Graph (*build)(const NetOpts&);
};

std::span<const NetInfo> nets();
std::vector<std::string> net_ids();
// Throws a request error with "did you mean" for an unknown id.
Graph build_net(const std::string& id, const NetOpts& opts = {});

namespace nets_detail {
inline std::int64_t classes_or(const NetOpts& opts, std::int64_t defined) {
  return opts.classes > 0 ? opts.classes : defined;
}
}  // namespace nets_detail

// nets/lenet.cpp
Graph lenet_bn(const NetOpts& opts);
Graph lenet5(const NetOpts& opts);
Graph lenet_fashion(const NetOpts& opts);
// nets/mnist_pair.cpp
Graph fc2_mnist(const NetOpts& opts);
Graph cnn_mnist(const NetOpts& opts);

}  // namespace lamina
