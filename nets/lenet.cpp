// The LeNet family, after LeCun, Bottou, Bengio, Haffner: "Gradient-based learning applied to
// document recognition", Proc. IEEE 86 (1998), https://doi.org/10.1109/5.726791, in three
// present-day variants.
// SPDX-License-Identifier: Apache-2.0
#include "layers/upsample.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

// Convolution, batch norm, ReLU, 2x2 max pooling.
ValueId conv_bn_pool(Graph& g, const std::string& name, ValueId x, const nn::Conv2dOpts& conv) {
  const auto scope = g.scope(name, "Sequential");
  x = nn::conv2d(g, "0", x, conv);
  x = nn::batch_norm2d(g, "1", x);
  x = nn::relu(g, "2", x);
  return nn::max_pool2d(g, "3", x, {.kernel = 2});
}

Graph lenet_bn(const NetOpts& opts) {
  Graph g("LeNet", image({.channels = opts.channels}, 1, 28));
  const std::int64_t size = opts.size > 0 ? opts.size : 32;
  ValueId x = nn::upsample(g, "upsample", g.input(), {.size = size, .functional = true});
  x = conv_bn_pool(g, "conv1", x, {.k = wide(opts, 6), .kernel = 5});   //  6 x 14 x 14
  x = conv_bn_pool(g, "conv2", x, {.k = wide(opts, 16), .kernel = 5});  // 16 x  5 x  5
  x = nn::flatten(g, "flatten", x, {.functional = true});               // 400
  x = nn::linear(g, "fc1", x, {.k = wide(opts, 120)});
  x = nn::relu(g, "relu1", x);
  x = nn::dropout(g, "drop1", x, {.p = opts.dropout.value_or(0.5)});
  x = nn::linear(g, "fc2", x, {.k = wide(opts, 84)});
  x = nn::relu(g, "relu2", x);
  x = nn::dropout(g, "drop2", x, {.p = opts.dropout.value_or(0.5)});
  g.set_output(nn::linear(g, "fc3", x, {.k = classes_or(opts, 10)}));
  return g;
}

Graph lenet5(const NetOpts& opts) {
  Graph g("CNN", image(opts, 1, 28));
  const auto net = g.scope("net", "Sequential");
  ValueId x =
      nn::conv2d(g, "0", g.input(), {.k = wide(opts, 6), .kernel = 5, .pad = 2});  // 6 x 28 x 28
  x = nn::activation(g, "1", x, Act::tanh);
  x = nn::avg_pool2d(g, "2", x, {.kernel = 2});                   //   6 x 14 x 14
  x = nn::conv2d(g, "3", x, {.k = wide(opts, 16), .kernel = 5});  //  16 x 10 x 10
  x = nn::activation(g, "4", x, Act::tanh);
  x = nn::avg_pool2d(g, "5", x, {.kernel = 2});                    //  16 x  5 x  5
  x = nn::conv2d(g, "6", x, {.k = wide(opts, 120), .kernel = 5});  // 120 x  1 x  1
  x = nn::activation(g, "7", x, Act::tanh);
  x = nn::flatten(g, "8", x);
  x = nn::linear(g, "9", x, {.k = wide(opts, 84)});
  x = nn::activation(g, "10", x, Act::tanh);
  g.set_output(nn::linear(g, "11", x, {.k = classes_or(opts, 10)}));
  return g;
}

Graph lenet_fashion(const NetOpts& opts) {
  Graph g("LeNet", image(opts, 1, 28));
  ValueId x = g.input();
  {
    const auto conv = g.scope("conv", "Sequential");
    x = nn::conv2d(g, "0", x, {.k = wide(opts, 6), .kernel = 5});  //  6 x 24 x 24
    x = nn::activation(g, "1", x, Act::sigmoid);
    x = nn::max_pool2d(g, "2", x, {.kernel = 2});                   //  6 x 12 x 12
    x = nn::conv2d(g, "3", x, {.k = wide(opts, 16), .kernel = 5});  // 16 x  8 x  8
    x = nn::activation(g, "4", x, Act::sigmoid);
    x = nn::max_pool2d(g, "5", x, {.kernel = 2});  // 16 x  4 x  4
  }
  x = nn::flatten(g, "flatten", x, {.functional = true});  // 256
  const auto fc = g.scope("fc", "Sequential");
  x = nn::linear(g, "0", x, {.k = wide(opts, 120)});
  x = nn::activation(g, "1", x, Act::sigmoid);
  x = nn::linear(g, "2", x, {.k = wide(opts, 84)});
  x = nn::activation(g, "3", x, Act::sigmoid);
  g.set_output(nn::linear(g, "4", x, {.k = classes_or(opts, 10)}));
  return g;
}

}  // namespace

std::vector<NetInfo> lenet_family() {
  return {
      {"lenet_bn",
       "LeNet with batch norm, ReLU and dropout on images resized to 32x32",
       lenet_bn,
       {"dropout"}},
      {"lenet5", "LeNet-5 with tanh and average pooling", lenet5},
      {"lenet_fashion", "LeNet with sigmoid and max pooling", lenet_fashion},
  };
}

}  // namespace lamina
