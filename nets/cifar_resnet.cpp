// Residual nets of 6n + 2 layers for 32x32 images. He et al., https://arxiv.org/abs/1512.03385,
// section 4.2, with shortcuts of option A: every second pixel, and zeros for the new channels.
// SPDX-License-Identifier: Apache-2.0
#include "layers/add.h"
#include "layers/concat.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

nn::Conv2dOpts three_by_three(std::int64_t k, std::int64_t stride = 1) {
  return {.k = k,
          .kernel = 3,
          .stride = stride,
          .pad = 1,
          .bias = false,
          .init = kaiming_normal_fan_in()};
}

ValueId basic_block(
    Graph& g, const std::string& name, ValueId x, std::int64_t k, std::int64_t stride) {
  const auto block = g.scope(name, "BasicBlock");
  ValueId y = nn::conv2d(g, "conv1", x, three_by_three(k, stride));
  y = nn::batch_norm2d(g, "bn1", y);
  y = nn::relu(g, "relu1", y, {.functional = true});
  y = nn::conv2d(g, "conv2", y, three_by_three(k));
  y = nn::batch_norm2d(g, "bn2", y);
  if (stride > 1) {
    x = nn::max_pool2d(g, "subsample", x, {.kernel = 1, .stride = stride, .functional = true});
    const std::int64_t missing = k - g.shape(x).c;
    x = nn::pad_channels(g, "pad", x, {.front = missing / 2, .back = missing - missing / 2});
  }
  return nn::relu(g, "relu2", nn::add(g, "add", y, x), {.functional = true});
}

template <int depth>
Graph cifar_resnet(const NetOpts& opts) {
  static_assert((depth - 2) % 6 == 0);
  Graph g("ResNet", image(opts, 3, 32));
  ValueId x = nn::conv2d(g, "conv1", g.input(), three_by_three(wide(opts, 16)));
  x = nn::batch_norm2d(g, "bn1", x);
  x = nn::relu(g, "relu", x, {.functional = true});
  for (int stage = 0; stage < 3; ++stage) {  // 16 x 32 x 32, 32 x 16 x 16, 64 x 8 x 8
    const auto layer = g.scope("layer" + std::to_string(stage + 1), "Sequential");
    for (int i = 0; i < (depth - 2) / 6; ++i) {
      const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
      x = basic_block(g, std::to_string(i), x, wide(opts, std::int64_t{16} << stage), stride);
    }
  }
  x = nn::adaptive_avg_pool2d(g, "pool", x, {.functional = true});
  x = nn::flatten(g, "flatten", x, {.functional = true});
  g.set_output(
      nn::linear(g, "linear", x, {.k = classes_or(opts, 10), .init = kaiming_normal_fan_in()}));
  return g;
}

}  // namespace

std::vector<NetInfo> cifar_resnet_family() {
  return {
      {"cifar_resnet20", "ResNet-20 for 32x32 images", cifar_resnet<20>},
      {"cifar_resnet32", "ResNet-32", cifar_resnet<32>},
      {"cifar_resnet44", "ResNet-44", cifar_resnet<44>},
      {"cifar_resnet56", "ResNet-56", cifar_resnet<56>},
  };
}

}  // namespace lamina
