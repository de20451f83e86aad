// The VGG family. Simonyan, Zisserman: "Very deep convolutional networks for large-scale image
// recognition", https://arxiv.org/abs/1409.1556; as torchvision defines it, and in variants for
// small images.
// SPDX-License-Identifier: Apache-2.0
#include "layers/upsample.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

// 3x3 convolutions in each of the five stages; a 2x2 pooling ends a stage.
using Depths = std::array<int, 5>;
constexpr Depths kVgg11{1, 1, 2, 2, 2}, kVgg13{2, 2, 2, 2, 2}, kVgg16{2, 2, 3, 3, 3},
    kVgg19{2, 2, 4, 4, 4};
constexpr std::array<std::int64_t, 5> kChannels{64, 128, 256, 512, 512};

Graph imagenet_vgg(const Depths& depths, bool batch_norm, const NetOpts& opts) {
  Graph g("VGG", image(opts, 3, 224));
  ValueId x = g.input();
  {
    const auto features = g.scope("features", "Sequential");
    Numbers next;
    for (std::size_t stage = 0; stage < depths.size(); ++stage) {
      for (int i = 0; i < depths[stage]; ++i) {
        x = nn::conv2d(g,
                       next(),
                       x,
                       {.k = wide(opts, kChannels[stage]),
                        .kernel = 3,
                        .pad = 1,
                        .init = kaiming_normal_fan_out(),
                        .bias_init = zeros()});
        if (batch_norm) x = nn::batch_norm2d(g, next(), x);
        x = nn::relu(g, next(), x);
      }
      x = nn::max_pool2d(g, next(), x, {.kernel = 2});
    }
  }
  x = nn::adaptive_avg_pool2d(g, "avgpool", x, {.size = 7});  // 512 x 7 x 7
  x = nn::flatten(g, "flatten", x, {.functional = true});
  const auto classifier = g.scope("classifier", "Sequential");
  Numbers next;
  const auto linear = [&](std::int64_t k) {
    return nn::linear(g, next(), x, {.k = k, .init = normal(0.01), .bias_init = zeros()});
  };
  for (int hidden = 0; hidden < 2; ++hidden) {
    x = linear(wide(opts, 4096));
    x = nn::relu(g, next(), x);
    x = nn::dropout(g, next(), x, {.p = opts.dropout.value_or(0.5)});
  }
  g.set_output(linear(classes_or(opts, 1000)));
  return g;
}

template <const Depths& depths, bool batch_norm>
Graph torchvision(const NetOpts& opts) {
  return imagenet_vgg(depths, batch_norm, opts);
}

// Linear, ReLU, dropout, twice; then the classes.
ValueId head(Graph& g, ValueId x, Numbers& next, std::int64_t hidden, const NetOpts& opts) {
  for (int i = 0; i < 2; ++i) {
    x = nn::linear(g, next(), x, {.k = wide(opts, hidden)});
    x = nn::relu(g, next(), x);
    x = nn::dropout(g, next(), x, {.p = opts.dropout.value_or(0.5)});
  }
  return nn::linear(g, next(), x, {.k = classes_or(opts, 10)});
}

// The images are enlarged to 224x224 inside; a stage is a block of named convolutions.
Graph mnist(const char* title, const Depths& depths, const NetOpts& opts) {
  Graph g(title, image({.channels = opts.channels}, 1, 28));
  const auto net = g.scope("net", "Sequential");
  Numbers next;
  const std::int64_t size = opts.size > 0 ? opts.size : 224;
  ValueId x = nn::upsample(g, next(), g.input(), {.size = size});
  for (std::size_t stage = 0; stage < depths.size(); ++stage) {
    const auto block = g.scope(next(), "VGGBlock");
    const auto inner = g.scope("net", "Sequential");
    for (int i = 0; i < depths[stage]; ++i) {
      const auto pair = g.scope("conv_" + std::to_string(i), "Sequential");
      x = nn::conv2d(g, "0", x, {.k = wide(opts, kChannels[stage]), .kernel = 3, .pad = 1});
      x = nn::relu(g, "1", x);
    }
    x = nn::max_pool2d(g, "pool", x, {.kernel = 2});
  }
  x = nn::flatten(g, next(), x);
  g.set_output(head(g, x, next, 4096, opts));
  return g;
}

Graph vgg11_mnist(const NetOpts& opts) { return mnist("VGGNet11", kVgg11, opts); }
Graph vgg19_mnist(const NetOpts& opts) { return mnist("VGGNet19", kVgg19, opts); }

// One channel, 224x224 or smaller; every layer's channels divided by `ratio`.
Graph fashion(std::int64_t ratio, std::int64_t hidden, std::int64_t size, const NetOpts& opts) {
  Graph g("Sequential", image(opts, 1, size));
  ValueId x = g.input();
  for (std::size_t stage = 0; stage < kVgg11.size(); ++stage) {
    const auto block = g.scope("vgg_block_" + std::to_string(stage + 1), "Sequential");
    Numbers next;
    for (int i = 0; i < kVgg11[stage]; ++i) {
      x = nn::conv2d(
          g, next(), x, {.k = wide(opts, kChannels[stage] / ratio), .kernel = 3, .pad = 1});
      x = nn::relu(g, next(), x);
    }
    x = nn::max_pool2d(g, next(), x, {.kernel = 2});
  }
  const auto fc = g.scope("fc", "Sequential");
  Numbers next;
  x = nn::flatten(g, next(), x, {.type = "Flat"});
  g.set_output(head(g, x, next, hidden, opts));
  return g;
}

Graph vgg11_fashion(const NetOpts& opts) { return fashion(1, 4096, 224, opts); }
Graph vgg11_fashion_half(const NetOpts& opts) { return fashion(2, 4096, 224, opts); }
Graph vgg11_fashion_small(const NetOpts& opts) { return fashion(16, 256, 224, opts); }
Graph vgg11_fashion_small_96(const NetOpts& opts) { return fashion(16, 256, 96, opts); }

Graph vgg_cifar10(const NetOpts& opts) {
  Graph g("VGG", image(opts, 3, 32));
  ValueId x = g.input();
  {
    const auto features = g.scope("features", "Sequential");
    Numbers next;
    for (std::size_t stage = 0; stage < kVgg11.size(); ++stage) {
      for (int i = 0; i < kVgg11[stage]; ++i) {
        x = nn::conv2d(g, next(), x, {.k = wide(opts, kChannels[stage]), .kernel = 3, .pad = 1});
        x = nn::batch_norm2d(g, next(), x);
        x = nn::relu(g, next(), x);
      }
      x = nn::max_pool2d(g, next(), x, {.kernel = 2});
    }
    x = nn::avg_pool2d(g, next(), x, {.kernel = 1});  // 512 x 1 x 1
  }
  x = nn::flatten(g, "flatten", x, {.functional = true});
  g.set_output(nn::linear(g, "classifier", x, {.k = classes_or(opts, 10)}));
  return g;
}

}  // namespace

std::vector<NetInfo> vgg_family() {
  const std::vector<std::string> dropout{"dropout"};
  return {
      {"vgg11_mnist", "VGG-11 on images enlarged to 224x224 inside", vgg11_mnist, dropout},
      {"vgg19_mnist", "VGG-19 on images enlarged to 224x224 inside", vgg19_mnist, dropout},
      {"vgg11_fashion", "VGG-11 on one channel", vgg11_fashion, dropout},
      {"vgg11_fashion_half", "the same with half the channels", vgg11_fashion_half, dropout},
      {"vgg11_fashion_small", "with a sixteenth of them", vgg11_fashion_small, dropout},
      {"vgg11_fashion_small_96", "and on 96x96 images", vgg11_fashion_small_96, dropout},
      {"vgg11", "VGG-11 as torchvision defines it", torchvision<kVgg11, false>, dropout},
      {"vgg11_bn", "the same with batch norm", torchvision<kVgg11, true>, dropout},
      {"vgg13", "VGG-13", torchvision<kVgg13, false>, dropout},
      {"vgg13_bn", "VGG-13 with batch norm", torchvision<kVgg13, true>, dropout},
      {"vgg16", "VGG-16", torchvision<kVgg16, false>, dropout},
      {"vgg16_bn", "VGG-16 with batch norm", torchvision<kVgg16, true>, dropout},
      {"vgg19", "VGG-19", torchvision<kVgg19, false>, dropout},
      {"vgg19_bn", "VGG-19 with batch norm", torchvision<kVgg19, true>, dropout},
      {"vgg_cifar10", "VGG-11 with batch norm and one linear layer, 32x32", vgg_cifar10},
  };
}

}  // namespace lamina
