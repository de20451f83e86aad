// DenseNet: every layer reads all maps before it. Huang et al., https://arxiv.org/abs/1608.06993;
// as torchvision defines it.
// SPDX-License-Identifier: Apache-2.0
#include "layers/concat.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

nn::Conv2dOpts plain(std::int64_t k, std::int64_t kernel) {
  return {
      .k = k, .kernel = kernel, .pad = kernel / 2, .bias = false, .init = kaiming_normal_fan_in()};
}

ValueId norm_relu(Graph& g, const std::string& number, ValueId x) {
  x = nn::batch_norm2d(g, "norm" + number, x);
  return nn::relu(g, "relu" + number, x);
}

// `growth` new channels behind those of x.
ValueId dense_layer(
    Graph& g, const std::string& name, ValueId x, std::int64_t growth, const NetOpts& opts) {
  const auto layer = g.scope(name, "_DenseLayer");
  ValueId y = norm_relu(g, "1", x);
  y = nn::conv2d(g, "conv1", y, plain(4 * growth, 1));
  y = norm_relu(g, "2", y);
  y = nn::conv2d(g, "conv2", y, plain(growth, 3));
  const double p = opts.dropout.value_or(0.0);
  if (p > 0) y = nn::dropout(g, "dropout", y, {.p = p});
  return nn::concat(g, "cat", {x, y});
}

Graph densenet121(const NetOpts& opts) {
  Graph g("DenseNet", image(opts, 3, 224));
  const std::int64_t growth = wide(opts, 32);
  const int depths[] = {6, 12, 24, 16};
  ValueId x = g.input();
  {
    const auto features = g.scope("features", "Sequential");
    nn::Conv2dOpts stem = plain(wide(opts, 64), 7);
    stem.stride = 2;
    x = nn::conv2d(g, "conv0", x, stem);
    x = norm_relu(g, "0", x);
    x = nn::max_pool2d(g, "pool0", x, {.kernel = 3, .stride = 2, .pad = 1});  // 64 x 56 x 56
    for (int stage = 0; stage < 4; ++stage) {
      {
        const auto block = g.scope("denseblock" + std::to_string(stage + 1), "_DenseBlock");
        for (int i = 0; i < depths[stage]; ++i)
          x = dense_layer(g, "denselayer" + std::to_string(i + 1), x, growth, opts);
      }
      if (stage == 3) break;
      const auto transition = g.scope("transition" + std::to_string(stage + 1), "_Transition");
      x = norm_relu(g, "", x);
      x = nn::conv2d(g, "conv", x, plain(g.shape(x).c / 2, 1));
      x = nn::avg_pool2d(g, "pool", x, {.kernel = 2});
    }
    x = nn::batch_norm2d(g, "norm5", x);  // 1024 x 7 x 7
  }
  x = nn::relu(g, "relu", x, {.functional = true});
  x = nn::adaptive_avg_pool2d(g, "pool", x, {.functional = true});
  x = nn::flatten(g, "flatten", x, {.functional = true});
  g.set_output(nn::linear(g, "classifier", x, {.k = classes_or(opts, 1000), .bias_init = zeros()}));
  return g;
}

}  // namespace

std::vector<NetInfo> densenet_family() {
  return {{"densenet121", "DenseNet-121 as torchvision defines it", densenet121, {"dropout"}}};
}

}  // namespace lamina
