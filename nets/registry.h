// Every network by its id. A net is one function that builds a Graph, in the file of its family;
// the family lists its nets at the end of that file.
//
// To add a net: write the function and its row. To add a family: a file, its function below and in
// registry.cpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace lamina {

// What a definition leaves open. An option that a net does not have is an error.
struct NetOpts {
  std::int64_t classes = 0;   // 0: as defined
  std::int64_t channels = 0;  // of the input; 0: as defined
  std::int64_t size = 0;      // height and width of the input, or of the map that a net enlarges
                              // its 28x28 input to; 0: as defined
  double width = 1.0;         // multiplies the channels of every layer
  std::optional<double> dropout;  // every dropout probability
  // torchvision's options, under its names.
  std::optional<bool> aux_logits, transform_input, zero_init_residual;
  std::optional<std::array<bool, 3>> replace_stride_with_dilation;
  std::optional<std::int64_t> groups, width_per_group;
  std::optional<bool> lrn;  // AlexNet's local response normalisation

  // Sets one from text: ("size", "64"), ("replace_stride_with_dilation", "0,1,1").
  void set(const std::string& key, const std::string& value);
};

struct NetInfo {
  std::string id;           // "lenet_bn"
  std::string description;  // one line for `lamina nets`
  Graph (*build)(const NetOpts&);
  std::vector<std::string> options = {};  // of NetOpts, besides classes, channels, size and width
};

std::vector<NetInfo> nets();
std::vector<std::string> net_ids();
// Throws a request error with "did you mean" for an unknown id, and for options the net lacks.
Graph build_net(const std::string& id, const NetOpts& opts = {});

// One function a family, in nets/NAME.cpp.
std::vector<NetInfo> lenet_family();
std::vector<NetInfo> mnist_pair_family();
std::vector<NetInfo> alexnet_family();
std::vector<NetInfo> vgg_family();
std::vector<NetInfo> nin_family();
std::vector<NetInfo> googlenet_family();
std::vector<NetInfo> googlenet_fashion_family();
std::vector<NetInfo> mini_family();
std::vector<NetInfo> inception_v3_family();
std::vector<NetInfo> inception_resnet_family();
std::vector<NetInfo> resnet_family();
std::vector<NetInfo> cifar_resnet_family();
std::vector<NetInfo> mobilenet_family();
std::vector<NetInfo> squeezenet_family();
std::vector<NetInfo> densenet_family();

}  // namespace lamina
