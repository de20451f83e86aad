// MobileNets: depthwise separable convolutions. Howard et al., https://arxiv.org/abs/1704.04861, on
// enlarged MNIST images; version 2, inverted residuals: Sandler et al.,
// https://arxiv.org/abs/1801.04381, as torchvision defines it.
// SPDX-License-Identifier: Apache-2.0
#include "layers/add.h"
#include "layers/upsample.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

ValueId relu6(Graph& g, const std::string& name, ValueId x) {
  return nn::activation(g, name, x, Act::relu6);
}

// Depthwise 3x3, then 1x1, each with batch norm and ReLU6.
ValueId separable(
    Graph& g, const std::string& name, ValueId x, std::int64_t k, std::int64_t stride) {
  const auto block = g.scope(name, "MobileBlock");
  const auto net = g.scope("net", "Sequential");
  const std::int64_t c = g.shape(x).c;
  x = nn::conv2d(
      g, "0", x, {.k = c, .kernel = 3, .stride = stride, .pad = 1, .groups = c, .bias = false});
  x = nn::batch_norm2d(g, "1", x);
  x = relu6(g, "2", x);
  x = nn::conv2d(g, "3", x, {.k = k, .bias = false});
  x = nn::batch_norm2d(g, "4", x);
  return relu6(g, "5", x);
}

Graph mobilenet_mnist(const NetOpts& opts) {
  Graph g("MobileNet", image({.channels = opts.channels}, 1, 28));
  const auto net = g.scope("net", "Sequential");
  Numbers next;
  const std::int64_t size = opts.size > 0 ? opts.size : 224;
  ValueId x = nn::upsample(g, next(), g.input(), {.size = size});
  x = nn::conv2d(
      g, next(), x, {.k = wide(opts, 32), .kernel = 3, .stride = 2, .pad = 1, .bias = false});
  x = nn::batch_norm2d(g, next(), x);
  x = relu6(g, next(), x);  // 32 x 112 x 112
  struct Step {
    std::int64_t k, stride;
  };
  const Step steps[] = {{64, 1},
                        {128, 2},
                        {128, 1},
                        {256, 2},
                        {256, 1},
                        {512, 2},
                        {512, 1},
                        {512, 1},
                        {512, 1},
                        {512, 1},
                        {512, 1},
                        {1024, 2},
                        {1024, 1}};
  for (const Step& step : steps) x = separable(g, next(), x, wide(opts, step.k), step.stride);
  x = nn::avg_pool2d(g, next(), x, {.kernel = {g.shape(x).h, g.shape(x).w}});  // 1024 x 1 x 1
  x = nn::flatten(g, next(), x);
  g.set_output(nn::linear(g, next(), x, {.k = classes_or(opts, 10)}));
  return g;
}

// torchvision's Conv2dNormActivation, its children numbered 0, 1, 2.
ValueId conv_bn_relu6(Graph& g, const std::string& name, ValueId x, nn::Conv2dOpts conv) {
  const auto block = g.scope(name, "Conv2dNormActivation");
  conv.bias = false;
  conv.init = kaiming_normal_fan_out();
  x = nn::conv2d(g, "0", x, conv);
  x = nn::batch_norm2d(g, "1", x);
  return relu6(g, "2", x);
}

// 1x1 to `expansion` times the channels, depthwise 3x3, 1x1 back; a shortcut where the shape stays.
ValueId inverted_residual(Graph& g,
                          const std::string& name,
                          ValueId x,
                          std::int64_t k,
                          std::int64_t stride,
                          std::int64_t expansion) {
  const auto block = g.scope(name, "InvertedResidual");
  const std::int64_t c = g.shape(x).c, inner = c * expansion;
  ValueId y = x;
  {
    const auto conv = g.scope("conv", "Sequential");
    Numbers next;
    if (expansion != 1) y = conv_bn_relu6(g, next(), y, {.k = inner});
    y = conv_bn_relu6(
        g, next(), y, {.k = inner, .kernel = 3, .stride = stride, .pad = 1, .groups = inner});
    y = nn::conv2d(g, next(), y, {.k = k, .bias = false, .init = kaiming_normal_fan_out()});
    y = nn::batch_norm2d(g, next(), y);
  }
  return stride == 1 && c == k ? nn::add(g, "add", x, y) : y;
}

// Channels under a width, rounded to a multiple of 8 that loses at most a tenth (the definition's
// rule).
std::int64_t divisible(const NetOpts& opts, std::int64_t channels) {
  const double want = opts.width * static_cast<double>(channels);
  const std::int64_t near = std::max<std::int64_t>(8, static_cast<std::int64_t>(want + 4) / 8 * 8);
  return static_cast<double>(near) < 0.9 * want ? near + 8 : near;
}

Graph mobilenet_v2(const NetOpts& opts) {
  Graph g("MobileNetV2", image(opts, 3, 224));
  ValueId x = g.input();
  {
    const auto features = g.scope("features", "Sequential");
    Numbers next;
    x = conv_bn_relu6(g, next(), x, {.k = divisible(opts, 32), .kernel = 3, .stride = 2, .pad = 1});
    struct Stage {
      std::int64_t expansion, k;
      int blocks;
      std::int64_t stride;
    };
    const Stage stages[] = {{1, 16, 1, 1},
                            {6, 24, 2, 2},
                            {6, 32, 3, 2},
                            {6, 64, 4, 2},
                            {6, 96, 3, 1},
                            {6, 160, 3, 2},
                            {6, 320, 1, 1}};
    for (const Stage& stage : stages) {
      for (int i = 0; i < stage.blocks; ++i) {
        const std::int64_t stride = i == 0 ? stage.stride : 1;
        x = inverted_residual(g, next(), x, divisible(opts, stage.k), stride, stage.expansion);
      }
    }
    const std::int64_t last = opts.width > 1.0 ? divisible(opts, 1280) : 1280;
    x = conv_bn_relu6(g, next(), x, {.k = last});  // 1280 x 7 x 7
  }
  x = nn::adaptive_avg_pool2d(g, "pool", x, {.functional = true});
  x = nn::flatten(g, "flatten", x, {.functional = true});
  const auto classifier = g.scope("classifier", "Sequential");
  x = nn::dropout(g, "0", x, {.p = opts.dropout.value_or(0.2)});
  g.set_output(nn::linear(
      g, "1", x, {.k = classes_or(opts, 1000), .init = normal(0.01), .bias_init = zeros()}));
  return g;
}

}  // namespace

std::vector<NetInfo> mobilenet_family() {
  return {
      {"mobilenet_mnist", "MobileNet on images enlarged to 224x224 inside", mobilenet_mnist},
      {"mobilenet_v2", "MobileNet v2 as torchvision defines it", mobilenet_v2, {"dropout"}},
  };
}

}  // namespace lamina
