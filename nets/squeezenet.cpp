// SqueezeNet. Iandola et al., https://arxiv.org/abs/1602.07360; as torchvision defines it.
// SPDX-License-Identifier: Apache-2.0
#include "layers/concat.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

nn::Conv2dOpts with_init(nn::Conv2dOpts conv) {
  conv.init = kaiming_uniform();
  conv.bias_init = zeros();
  return conv;
}

// 1x1 to few channels; 1x1 and 3x3 from them, side by side.
ValueId fire(
    Graph& g, const std::string& name, ValueId x, std::int64_t squeeze, std::int64_t expand) {
  const auto block = g.scope(name, "Fire");
  x = nn::conv2d(g, "squeeze", x, with_init({.k = squeeze}));
  x = nn::relu(g, "squeeze_activation", x);
  ValueId one = nn::conv2d(g, "expand1x1", x, with_init({.k = expand}));
  one = nn::relu(g, "expand1x1_activation", one);
  ValueId three = nn::conv2d(g, "expand3x3", x, with_init({.k = expand, .kernel = 3, .pad = 1}));
  three = nn::relu(g, "expand3x3_activation", three);
  return nn::concat(g, "cat", {one, three});
}

// first: the stem; pools: the blocks with a pooling in front, counted from 0.
Graph squeezenet(const nn::Conv2dOpts& first, std::array<int, 2> pools, const NetOpts& opts) {
  Graph g("SqueezeNet", image(opts, 3, 224));
  const nn::Pool2dOpts pool{.kernel = 3, .stride = 2, .ceil_mode = true};
  ValueId x = g.input();
  {
    const auto features = g.scope("features", "Sequential");
    Numbers next;
    x = nn::conv2d(g, next(), x, with_init(first));
    x = nn::relu(g, next(), x);
    x = nn::max_pool2d(g, next(), x, pool);
    const std::int64_t squeezed[] = {16, 16, 32, 32, 48, 48, 64, 64};
    for (int i = 0; i < 8; ++i) {
      if (i == pools[0] || i == pools[1]) x = nn::max_pool2d(g, next(), x, pool);
      x = fire(g, next(), x, wide(opts, squeezed[i]), wide(opts, 4 * squeezed[i]));
    }
  }
  const auto classifier = g.scope("classifier", "Sequential");
  x = nn::dropout(g, "0", x, {.p = opts.dropout.value_or(0.5)});
  x = nn::conv2d(
      g, "1", x, {.k = classes_or(opts, 1000), .init = normal(0.01), .bias_init = zeros()});
  x = nn::relu(g, "2", x);
  x = nn::adaptive_avg_pool2d(g, "3", x, {});
  g.set_output(nn::flatten(g, "flatten", x, {.functional = true}));
  return g;
}

Graph squeezenet1_0(const NetOpts& opts) {
  return squeezenet({.k = wide(opts, 96), .kernel = 7, .stride = 2}, {3, 7}, opts);
}
Graph squeezenet1_1(const NetOpts& opts) {
  return squeezenet({.k = wide(opts, 64), .kernel = 3, .stride = 2}, {2, 4}, opts);
}

}  // namespace

std::vector<NetInfo> squeezenet_family() {
  return {
      {"squeezenet1_0", "SqueezeNet as torchvision defines it", squeezenet1_0, {"dropout"}},
      {"squeezenet1_1", "the same with earlier pooling", squeezenet1_1, {"dropout"}},
  };
}

}  // namespace lamina
