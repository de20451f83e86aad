// Residual nets. He et al.: "Deep residual learning for image recognition",
// https://arxiv.org/abs/1512.03385; ResNeXt: Xie et al., https://arxiv.org/abs/1611.05431; wide:
// Zagoruyko, Komodakis, https://arxiv.org/abs/1605.07146. As torchvision defines them (the stride
// of a bottleneck is its 3x3 convolution's), and ResNet-18 on enlarged MNIST images.
// SPDX-License-Identifier: Apache-2.0
#include "layers/add.h"
#include "layers/upsample.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

struct Depths {
  int blocks[4]{};
  bool bottleneck = false;
  std::int64_t groups = 1, width_per_group = 64;
};
constexpr Depths kResNet18{{2, 2, 2, 2}, false}, kResNet34{{3, 4, 6, 3}, false},
    kResNet50{{3, 4, 6, 3}, true}, kResNet101{{3, 4, 23, 3}, true}, kResNet152{{3, 8, 36, 3}, true},
    kResNeXt50{{3, 4, 6, 3}, true, 32, 4}, kResNeXt101{{3, 4, 23, 3}, true, 32, 8},
    kWide50{{3, 4, 6, 3}, true, 1, 128}, kWide101{{3, 4, 23, 3}, true, 1, 128};

// One block's place in the net.
struct Block {
  std::int64_t planes, stride, dilation;
  std::int64_t groups, width_per_group;
  bool bottleneck, shortcut, zero_init;

  std::int64_t channels() const { return planes * (bottleneck ? 4 : 1); }
};

nn::Conv2dOpts three_by_three(std::int64_t k, std::int64_t stride, const Block& b) {
  return {.k = k,
          .kernel = 3,
          .stride = stride,
          .pad = b.dilation,
          .dilation = b.dilation,
          .groups = b.groups,
          .bias = false,
          .init = kaiming_normal_fan_out()};
}

nn::Conv2dOpts one_by_one(std::int64_t k, std::int64_t stride = 1) {
  return {.k = k, .stride = stride, .bias = false, .init = kaiming_normal_fan_out()};
}

ValueId residual_block(Graph& g, const std::string& name, ValueId x, const Block& b) {
  const auto scope = g.scope(name, b.bottleneck ? "Bottleneck" : "BasicBlock");
  ValueId y = x;
  if (b.bottleneck) {
    const std::int64_t width = b.planes * b.width_per_group / 64 * b.groups;
    y = nn::conv2d(g, "conv1", y, one_by_one(width));
    y = nn::batch_norm2d(g, "bn1", y);
    y = nn::relu(g, "relu", y);
    y = nn::conv2d(g, "conv2", y, three_by_three(width, b.stride, b));
    y = nn::batch_norm2d(g, "bn2", y);
    y = nn::relu(g, "relu", y);
    y = nn::conv2d(g, "conv3", y, one_by_one(b.channels()));
    y = nn::batch_norm2d(g, "bn3", y, {.zero_init = b.zero_init});
  } else {
    y = nn::conv2d(g, "conv1", y, three_by_three(b.planes, b.stride, b));
    y = nn::batch_norm2d(g, "bn1", y);
    y = nn::relu(g, "relu", y);
    y = nn::conv2d(g, "conv2", y, three_by_three(b.planes, 1, b));
    y = nn::batch_norm2d(g, "bn2", y, {.zero_init = b.zero_init});
  }
  if (b.shortcut) {
    const auto downsample = g.scope("downsample", "Sequential");
    x = nn::conv2d(g, "0", x, one_by_one(b.channels(), b.stride));
    x = nn::batch_norm2d(g, "1", x);
  }
  return nn::relu(g, "relu", nn::add(g, "add", y, x));
}

Graph resnet(const Depths& depths, const NetOpts& opts) {
  Graph g("ResNet", image(opts, 3, 224));
  const auto dilate = opts.replace_stride_with_dilation.value_or(std::array<bool, 3>{});
  Block block{.planes = 0,
              .stride = 1,
              .dilation = 1,
              .groups = opts.groups.value_or(depths.groups),
              .width_per_group = opts.width_per_group.value_or(depths.width_per_group),
              .bottleneck = depths.bottleneck,
              .shortcut = false,
              .zero_init = opts.zero_init_residual.value_or(false)};
  LAMINA_CHECK(depths.bottleneck || (block.groups == 1 && block.width_per_group == 64 &&
                                     dilate == std::array<bool, 3>{}),
               "net ResNet: groups, width_per_group and dilation need a net of bottleneck blocks, "
               "such as resnet50.");
  ValueId x = nn::conv2d(g,
                         "conv1",
                         g.input(),
                         {.k = wide(opts, 64),
                          .kernel = 7,
                          .stride = 2,
                          .pad = 3,
                          .bias = false,
                          .init = kaiming_normal_fan_out()});  // 64 x 112 x 112
  x = nn::batch_norm2d(g, "bn1", x);
  x = nn::relu(g, "relu", x);
  x = nn::max_pool2d(g, "maxpool", x, {.kernel = 3, .stride = 2, .pad = 1});  // 64 x 56 x 56
  std::int64_t dilation = 1;
  for (std::size_t stage = 0; stage < 4; ++stage) {  // 56, 28, 14 and 7 squared
    const auto layer = g.scope("layer" + std::to_string(stage + 1), "Sequential");
    block.planes = wide(opts, std::int64_t{64} << stage);
    block.stride = stage == 0 ? 1 : 2;
    // A dilated stage keeps the map's size; its first block still sees the windows of the last one.
    block.dilation = dilation;
    if (stage > 0 && dilate[stage - 1]) {
      dilation *= 2;
      block.stride = 1;
    }
    block.shortcut = block.stride != 1 || g.shape(x).c != block.channels();
    for (int i = 0; i < depths.blocks[stage]; ++i) {
      x = residual_block(g, std::to_string(i), x, block);
      block.stride = 1;
      block.shortcut = false;
      block.dilation = dilation;
    }
  }
  x = nn::adaptive_avg_pool2d(g, "avgpool", x, {});
  x = nn::flatten(g, "flatten", x, {.functional = true});
  g.set_output(nn::linear(g, "fc", x, {.k = classes_or(opts, 1000)}));
  return g;
}

template <const Depths& depths>
Graph torchvision(const NetOpts& opts) {
  return resnet(depths, opts);
}

// Convolutions with biases, and a shortcut without batch norm.
ValueId mnist_block(
    Graph& g, const std::string& name, ValueId x, std::int64_t k, std::int64_t stride) {
  const auto block = g.scope(name, "ResBlock");
  ValueId y = x;
  {
    const auto net = g.scope("net", "Sequential");
    y = nn::conv2d(g, "0", y, {.k = k, .kernel = 3, .stride = stride, .pad = 1});
    y = nn::batch_norm2d(g, "1", y);
    y = nn::relu(g, "2", y);
    y = nn::conv2d(g, "3", y, {.k = k, .kernel = 3, .pad = 1});
    y = nn::batch_norm2d(g, "4", y);
  }
  if (stride > 1) x = nn::conv2d(g, "res_conv", x, {.k = k, .stride = stride});
  return nn::relu(g, "relu", nn::add(g, "add", y, x));
}

Graph resnet18_mnist(const NetOpts& opts) {
  Graph g("ResNet", image({.channels = opts.channels}, 1, 28));
  const auto net = g.scope("net", "Sequential");
  Numbers next;
  const std::int64_t size = opts.size > 0 ? opts.size : 224;
  ValueId x = nn::upsample(g, next(), g.input(), {.size = size});
  x = nn::conv2d(g, next(), x, {.k = wide(opts, 64), .kernel = 7, .stride = 2, .pad = 3});
  x = nn::batch_norm2d(g, next(), x);
  x = nn::relu(g, next(), x);
  x = nn::max_pool2d(g, next(), x, {.kernel = 3, .stride = 2, .pad = 1});  // 64 x 56 x 56
  for (int stage = 0; stage < 4; ++stage) {
    const auto layer = g.scope(next(), "Sequential");
    const std::int64_t k = wide(opts, std::int64_t{64} << stage);
    x = mnist_block(g, "0", x, k, stage == 0 ? 1 : 2);
    x = mnist_block(g, "1", x, k, 1);
  }
  const auto head = g.scope(next(), "Sequential");
  x = nn::adaptive_avg_pool2d(g, "0", x, {});
  x = nn::flatten(g, "1", x);
  g.set_output(nn::linear(g, "2", x, {.k = classes_or(opts, 10)}));
  return g;
}

}  // namespace

std::vector<NetInfo> resnet_family() {
  const std::vector<std::string> basic{"zero_init_residual"};
  const std::vector<std::string> all{
      "groups", "replace_stride_with_dilation", "width_per_group", "zero_init_residual"};
  return {
      {"resnet18_mnist", "ResNet-18 on images enlarged to 224x224 inside", resnet18_mnist},
      {"resnet18", "ResNet-18 as torchvision defines it", torchvision<kResNet18>, basic},
      {"resnet34", "ResNet-34", torchvision<kResNet34>, basic},
      {"resnet50", "ResNet-50, of bottleneck blocks", torchvision<kResNet50>, all},
      {"resnet101", "ResNet-101", torchvision<kResNet101>, all},
      {"resnet152", "ResNet-152", torchvision<kResNet152>, all},
      {"resnext50_32x4d", "ResNeXt-50, 32 groups of 4", torchvision<kResNeXt50>, all},
      {"resnext101_32x8d", "ResNeXt-101, 32 groups of 8", torchvision<kResNeXt101>, all},
      {"wide_resnet50_2", "ResNet-50 with twice the inner width", torchvision<kWide50>, all},
      {"wide_resnet101_2", "ResNet-101 with twice the inner width", torchvision<kWide101>, all},
  };
}

}  // namespace lamina
