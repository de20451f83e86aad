// AlexNet and ZFNet. Krizhevsky, Sutskever, Hinton: "ImageNet classification with deep
// convolutional neural networks", NeurIPS 2012; in one branch: Krizhevsky,
// https://arxiv.org/abs/1404.5997. Zeiler, Fergus: "Visualizing and understanding convolutional
// networks", https://arxiv.org/abs/1311.2901.
// SPDX-License-Identifier: Apache-2.0
#include "layers/lrn.h"
#include "layers/upsample.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

// Five convolutions, or four in the simplified net, on one input channel; the maps of 224x224.
ValueId single_channel_features(
    Graph& g, ValueId x, Numbers& next, std::int64_t pad, bool simplified, const NetOpts& opts) {
  const auto conv = [&](const nn::Conv2dOpts& o) { x = conv_relu(g, next, x, o); };
  conv({.k = wide(opts, 96), .kernel = 11, .stride = 4, .pad = pad});  //  96 x 54 x 54
  x = nn::max_pool2d(g, next(), x, {.kernel = 3, .stride = 2});        //  96 x 26 x 26
  conv({.k = wide(opts, 256), .kernel = 5, .pad = 2});                 // 256 x 26 x 26
  x = nn::max_pool2d(g, next(), x, {.kernel = 3, .stride = 2});        // 256 x 12 x 12
  conv({.k = wide(opts, 384), .kernel = 3, .pad = 1});
  if (!simplified) conv({.k = wide(opts, 384), .kernel = 3, .pad = 1});
  conv({.k = wide(opts, 256), .kernel = 3, .pad = 1});
  return nn::max_pool2d(g, next(), x, {.kernel = 3, .stride = 2});  // 256 x 5 x 5
}

// Linear, ReLU, dropout, `hidden` times, then the classes.
ValueId head(Graph& g, ValueId x, Numbers& next, int hidden, const NetOpts& opts) {
  for (int i = 0; i < hidden; ++i) {
    x = nn::linear(g, next(), x, {.k = wide(opts, 4096)});
    x = nn::relu(g, next(), x);
    x = nn::dropout(g, next(), x, {.p = opts.dropout.value_or(0.5)});
  }
  return nn::linear(g, next(), x, {.k = classes_or(opts, 10)});
}

Graph alexnet_mnist(const NetOpts& opts) {
  Graph g("AlexNet", image({.channels = opts.channels}, 1, 28));
  const auto net = g.scope("net", "Sequential");
  Numbers next;
  const std::int64_t size = opts.size > 0 ? opts.size : 224;
  ValueId x = nn::upsample(g, next(), g.input(), {.size = size});
  x = single_channel_features(g, x, next, 1, false, opts);
  x = nn::flatten(g, next(), x);
  g.set_output(head(g, x, next, 2, opts));
  return g;
}

Graph alexnet_224(const NetOpts& opts) {
  Graph g("CNN", image(opts, 1, 224));
  const auto net = g.scope("net", "Sequential");
  Numbers next;
  ValueId x = single_channel_features(g, g.input(), next, 1, false, opts);
  x = nn::flatten(g, next(), x);
  g.set_output(head(g, x, next, 2, opts));
  return g;
}

Graph fashion(const char* title, bool simplified, const NetOpts& opts) {
  Graph g(title, image(opts, 1, 224));
  ValueId x = g.input();
  {
    const auto conv = g.scope("conv", "Sequential");
    Numbers next;
    x = single_channel_features(g, x, next, 0, simplified, opts);
  }
  x = nn::flatten(g, "flatten", x, {.functional = true});
  const auto fc = g.scope("fc", "Sequential");
  Numbers next;
  g.set_output(head(g, x, next, simplified ? 1 : 2, opts));
  return g;
}

Graph alexnet_fashion(const NetOpts& opts) { return fashion("AlexNet", false, opts); }
Graph alexnet_fashion_small(const NetOpts& opts) { return fashion("AlexNet1", true, opts); }

// The classifier of torchvision's definition: the dropouts stand in front of the linear layers.
ValueId imagenet_classifier(Graph& g, ValueId x, const NetOpts& opts) {
  const auto classifier = g.scope("classifier", "Sequential");
  const double p = opts.dropout.value_or(0.5);
  x = nn::dropout(g, "0", x, {.p = p});
  x = nn::linear(g, "1", x, {.k = wide(opts, 4096)});
  x = nn::relu(g, "2", x);
  x = nn::dropout(g, "3", x, {.p = p});
  x = nn::linear(g, "4", x, {.k = wide(opts, 4096)});
  x = nn::relu(g, "5", x);
  return nn::linear(g, "6", x, {.k = classes_or(opts, 1000)});
}

Graph alexnet(const NetOpts& opts) {
  Graph g("AlexNet", image(opts, 3, 224));
  ValueId x = g.input();
  {
    const auto features = g.scope("features", "Sequential");
    Numbers next;
    const auto conv = [&](const nn::Conv2dOpts& o) { x = conv_relu(g, next, x, o); };
    const auto normalise_and_pool = [&](const char* name) {
      // The paper's constants; its alpha of 1e-4 multiplies the sum, not the mean over the window.
      if (opts.lrn.value_or(false))
        x = nn::local_response_norm(g, name, x, {.size = 5, .alpha = 5e-4, .beta = 0.75, .k = 2.0});
      x = nn::max_pool2d(g, next(), x, {.kernel = 3, .stride = 2});
    };
    conv({.k = wide(opts, 64), .kernel = 11, .stride = 4, .pad = 2});  //  64 x 55 x 55
    normalise_and_pool("lrn1");                                        //  64 x 27 x 27
    conv({.k = wide(opts, 192), .kernel = 5, .pad = 2});               // 192 x 27 x 27
    normalise_and_pool("lrn2");                                        // 192 x 13 x 13
    conv({.k = wide(opts, 384), .kernel = 3, .pad = 1});
    conv({.k = wide(opts, 256), .kernel = 3, .pad = 1});
    conv({.k = wide(opts, 256), .kernel = 3, .pad = 1});
    x = nn::max_pool2d(g, next(), x, {.kernel = 3, .stride = 2});  // 256 x 6 x 6
  }
  x = nn::adaptive_avg_pool2d(g, "avgpool", x, {.size = 6});
  x = nn::flatten(g, "flatten", x, {.functional = true});
  g.set_output(imagenet_classifier(g, x, opts));
  return g;
}

Graph zfnet(const NetOpts& opts) {
  Graph g("ZFNet", image(opts, 3, 224));
  ValueId x = g.input();
  {
    const auto features = g.scope("features", "Sequential");
    Numbers next;
    const auto conv = [&](const nn::Conv2dOpts& o) { x = conv_relu(g, next, x, o); };
    conv({.k = wide(opts, 96), .kernel = 7, .stride = 2, .pad = 1});         //  96 x 110 x 110
    x = nn::max_pool2d(g, next(), x, {.kernel = 3, .stride = 2, .pad = 1});  //  96 x 55 x 55
    conv({.k = wide(opts, 256), .kernel = 5, .stride = 2});                  // 256 x 26 x 26
    x = nn::max_pool2d(g, next(), x, {.kernel = 3, .stride = 2, .pad = 1});  // 256 x 13 x 13
    conv({.k = wide(opts, 512), .kernel = 3, .pad = 1});
    conv({.k = wide(opts, 512), .kernel = 3, .pad = 1});
    conv({.k = wide(opts, 1024), .kernel = 3, .pad = 1});
    x = nn::max_pool2d(g, next(), x, {.kernel = 3, .stride = 2});  // 1024 x 6 x 6
  }
  x = nn::flatten(g, "flatten", x);
  g.set_output(imagenet_classifier(g, x, opts));
  return g;
}

}  // namespace

std::vector<NetInfo> alexnet_family() {
  return {
      {"alexnet_mnist", "AlexNet on images enlarged to 224x224 inside", alexnet_mnist, {"dropout"}},
      {"alexnet_fashion", "AlexNet on one channel", alexnet_fashion, {"dropout"}},
      {"alexnet_fashion_small",
       "AlexNet with one convolution and one linear layer less",
       alexnet_fashion_small,
       {"dropout"}},
      {"alexnet_224", "AlexNet on one channel, first layer padded", alexnet_224, {"dropout"}},
      {"alexnet", "AlexNet as torchvision defines it", alexnet, {"dropout", "lrn"}},
      {"zfnet", "ZFNet: smaller first windows, wider last layers", zfnet, {"dropout"}},
  };
}

}  // namespace lamina
