// SPDX-License-Identifier: Apache-2.0
#include "nets/registry.h"

#include <algorithm>
#include <array>

#include "engine/core/suggest.h"

namespace lamina {

namespace {

const std::array kNets{
    NetInfo{
        "lenet_bn", "LeNet with batch norm, ReLU and dropout on images resized to 32x32", lenet_bn},
    NetInfo{"lenet5", "LeNet-5 with tanh and average pooling", lenet5},
    NetInfo{"lenet_fashion", "LeNet with sigmoid and max pooling", lenet_fashion},
    NetInfo{"fc2_mnist", "two hidden linear layers of 8 units, log-softmax", fc2_mnist},
    NetInfo{"cnn_mnist", "two 5x5 convolutions of 6 filters, log-softmax", cnn_mnist},
};

}  // namespace

std::span<const NetInfo> nets() { return kNets; }

std::vector<std::string> net_ids() {
  std::vector<std::string> ids;
  for (const NetInfo& net : kNets) ids.push_back(net.id);
  return ids;
}

Graph build_net(const std::string& id, const NetOpts& opts) {
  LAMINA_CHECK(opts.classes >= 0, "net {}: {} classes are not possible.", id, opts.classes);
  const auto net =
      std::find_if(kNets.begin(), kNets.end(), [&](const NetInfo& info) { return info.id == id; });
  if (net != kNets.end()) return net->build(opts);
  const std::vector<std::string> ids = net_ids();
  fail_request("unknown net '{}'; `lamina nets` lists them.{}", id, suggest(id, ids));
}

}  // namespace lamina
