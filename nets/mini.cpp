// Small nets for 28x28 and 32x32 images that show one idea each: Inception blocks, residual blocks,
// and plain convolutions on colour.
// SPDX-License-Identifier: Apache-2.0
#include "layers/add.h"
#include "layers/concat.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

// Without pooling and activations, as the original has it.
ValueId mini_inception(Graph& g, const std::string& name, ValueId x, const NetOpts& opts) {
  const auto block = g.scope(name, "Inception");
  const std::int64_t narrow = wide(opts, 16), broad = wide(opts, 24);
  const ValueId one = nn::conv2d(g, "branch1", x, {.k = narrow});
  ValueId three = x, five = x;
  {
    const auto branch = g.scope("branch2", "Sequential");
    three = nn::conv2d(g, "0", three, {.k = narrow});
    three = nn::conv2d(g, "1", three, {.k = broad, .kernel = 3, .pad = 1});
    three = nn::conv2d(g, "2", three, {.k = broad, .kernel = 3, .pad = 1});
  }
  {
    const auto branch = g.scope("branch3", "Sequential");
    five = nn::conv2d(g, "0", five, {.k = narrow});
    five = nn::conv2d(g, "1", five, {.k = broad, .kernel = 5, .pad = 2});
  }
  const ValueId straight = nn::conv2d(g, "branch4", x, {.k = broad});
  return nn::concat(g, "cat", {one, three, five, straight});
}

Graph googlenet_mini(const NetOpts& opts) {
  Graph g("CNN", image(opts, 1, 28));
  const auto net = g.scope("net", "Sequential");
  ValueId x = nn::conv2d(g, "0", g.input(), {.k = wide(opts, 10), .kernel = 5});
  x = nn::relu(g, "1", x);
  x = nn::max_pool2d(g, "2", x, {.kernel = 2});  // 10 x 12 x 12
  x = mini_inception(g, "3", x, opts);           // 88 x 12 x 12
  x = nn::conv2d(g, "4", x, {.k = wide(opts, 20), .kernel = 5});
  x = nn::relu(g, "5", x);
  x = nn::max_pool2d(g, "6", x, {.kernel = 2});  // 20 x  4 x  4
  x = mini_inception(g, "7", x, opts);           // 88 x  4 x  4
  x = nn::flatten(g, "8", x);
  g.set_output(nn::linear(g, "9", x, {.k = classes_or(opts, 10)}));
  return g;
}

ValueId mini_residual(Graph& g, const std::string& name, ValueId x) {
  const auto block = g.scope(name, "ResidualBlock");
  const std::int64_t k = g.shape(x).c;
  ValueId y = x;
  {
    const auto net = g.scope("net", "Sequential");
    y = nn::conv2d(g, "0", y, {.k = k, .kernel = 3, .pad = 1});
    y = nn::relu(g, "1", y);
    y = nn::conv2d(g, "2", y, {.k = k, .kernel = 3, .pad = 1});
  }
  return nn::relu(g, "relu", nn::add(g, "add", x, y), {.functional = true});
}

Graph resnet_mini(const NetOpts& opts) {
  Graph g("CNN", image(opts, 1, 28));
  const auto net = g.scope("net", "Sequential");
  ValueId x = nn::conv2d(g, "0", g.input(), {.k = wide(opts, 16), .kernel = 5});
  x = nn::relu(g, "1", x);
  x = nn::max_pool2d(g, "2", x, {.kernel = 2});  // 16 x 12 x 12
  x = mini_residual(g, "3", x);
  x = nn::conv2d(g, "4", x, {.k = wide(opts, 32), .kernel = 5});
  x = nn::relu(g, "5", x);
  x = nn::max_pool2d(g, "6", x, {.kernel = 2});  // 32 x  4 x  4
  x = mini_residual(g, "7", x);
  x = nn::flatten(g, "8", x);
  g.set_output(nn::linear(g, "9", x, {.k = classes_or(opts, 10)}));
  return g;
}

Graph net_cifar10(const NetOpts& opts) {
  Graph g("Net", image(opts, 3, 32));
  ValueId x = conv_relu(g, "conv1", g.input(), {.k = wide(opts, 6), .kernel = 5});
  x = nn::max_pool2d(g, "pool", x, {.kernel = 2});  //  6 x 14 x 14
  x = conv_relu(g, "conv2", x, {.k = wide(opts, 16), .kernel = 5});
  x = nn::max_pool2d(g, "pool", x, {.kernel = 2});  // 16 x  5 x  5
  x = nn::flatten(g, "flatten", x, {.functional = true});
  x = nn::linear(g, "fc1", x, {.k = wide(opts, 120)});
  x = nn::relu(g, "relu3", x, {.functional = true});
  x = nn::linear(g, "fc2", x, {.k = wide(opts, 84)});
  x = nn::relu(g, "relu4", x, {.functional = true});
  g.set_output(nn::linear(g, "fc3", x, {.k = classes_or(opts, 10)}));
  return g;
}

}  // namespace

std::vector<NetInfo> mini_family() {
  return {
      {"googlenet_mini", "two small Inception blocks", googlenet_mini},
      {"resnet_mini", "two small residual blocks", resnet_mini},
      {"net_cifar10", "two 5x5 convolutions on 32x32 colour images", net_cifar10},
  };
}

}  // namespace lamina
