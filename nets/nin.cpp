// Network in network. Lin, Chen, Yan: https://arxiv.org/abs/1312.4400. Each convolution is followed
// by two 1x1 convolutions; the classes are averaged maps.
// SPDX-License-Identifier: Apache-2.0
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

ValueId nin_block(Graph& g, const std::string& name, ValueId x, const nn::Conv2dOpts& first) {
  const auto block = g.scope(name, "Sequential");
  x = nn::conv2d(g, "0", x, first);
  x = nn::relu(g, "1", x);
  x = nn::conv2d(g, "2", x, {.k = first.k});
  x = nn::relu(g, "3", x);
  x = nn::conv2d(g, "4", x, {.k = first.k});
  return nn::relu(g, "5", x);
}

Graph nin_fashion(const NetOpts& opts) {
  Graph g("Sequential", image(opts, 1, 224));
  ValueId x = nin_block(g, "0", g.input(), {.k = wide(opts, 96), .kernel = 11, .stride = 4});
  x = nn::max_pool2d(g, "1", x, {.kernel = 3, .stride = 2});  //  96 x 26 x 26
  x = nin_block(g, "2", x, {.k = wide(opts, 256), .kernel = 5, .pad = 2});
  x = nn::max_pool2d(g, "3", x, {.kernel = 3, .stride = 2});  // 256 x 12 x 12
  x = nin_block(g, "4", x, {.k = wide(opts, 384), .kernel = 3, .pad = 1});
  x = nn::max_pool2d(g, "5", x, {.kernel = 3, .stride = 2});  // 384 x  5 x  5
  x = nn::dropout(g, "6", x, {.p = opts.dropout.value_or(0.5)});
  x = nin_block(g, "7", x, {.k = classes_or(opts, 10), .kernel = 3, .pad = 1});
  x = nn::adaptive_avg_pool2d(g, "8", x, {.type = "GAP"});
  g.set_output(nn::flatten(g, "9", x, {.type = "Flat"}));
  return g;
}

}  // namespace

std::vector<NetInfo> nin_family() {
  return {{"nin_fashion", "network in network on one channel", nin_fashion, {"dropout"}}};
}

}  // namespace lamina
