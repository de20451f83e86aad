// GoogLeNet. Szegedy et al.: "Going deeper with convolutions", https://arxiv.org/abs/1409.4842; as
// torchvision defines it (batch norm, 3x3 in place of the 5x5), and the paper's form on enlarged
// MNIST images (biases, no batch norm, no auxiliary heads).
// SPDX-License-Identifier: Apache-2.0
#include "layers/concat.h"
#include "layers/upsample.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

// What differs between the two definitions.
struct Style {
  bool batch_norm = false;
  std::int64_t five = 5;  // the window of the third branch
  NetOpts opts;

  ValueId conv(Graph& g, const std::string& name, ValueId x, nn::Conv2dOpts conv) const {
    conv.k = wide(opts, conv.k);
    if (batch_norm) {
      conv.init = normal(0.01);
      return basic_conv2d(g, name, x, conv);
    }
    const auto block = g.scope(name, "BasicConv2d");
    return nn::relu(g, "relu", nn::conv2d(g, "conv", x, conv));
  }
};

ValueId inception(Graph& g,
                  const std::string& name,
                  ValueId x,
                  const InceptionFilters& filters,
                  const Style& style) {
  const auto block = g.scope(name, "Inception");
  std::vector<ValueId> branches{style.conv(g, "branch1", x, {.k = filters.one})};
  {
    const auto branch = g.scope("branch2", "Sequential");
    const ValueId inner = style.conv(g, "0", x, {.k = filters.three_in});
    branches.push_back(style.conv(g, "1", inner, {.k = filters.three, .kernel = 3, .pad = 1}));
  }
  {
    const auto branch = g.scope("branch3", "Sequential");
    const ValueId inner = style.conv(g, "0", x, {.k = filters.five_in});
    branches.push_back(style.conv(
        g, "1", inner, {.k = filters.five, .kernel = style.five, .pad = style.five / 2}));
  }
  {
    const auto branch = g.scope("branch4", "Sequential");
    // torchvision rounds up, which changes nothing at stride 1.
    const ValueId inner = nn::max_pool2d(g, "0", x, {.kernel = 3, .stride = 1, .pad = 1});
    branches.push_back(style.conv(g, "1", inner, {.k = filters.pool}));
  }
  return nn::concat(g, "cat", branches);
}

// The layers up to the last block. tap(x, name) sees the output of every block.
template <class Tap>
ValueId trunk(Graph& g, ValueId x, const Style& style, std::int64_t last_pool, const Tap& tap) {
  const auto block = [&](const char* name, const InceptionFilters& filters) {
    x = inception(g, name, x, filters, style);
    tap(x, name);
  };
  const nn::Pool2dOpts pool{.kernel = 3, .stride = 2, .ceil_mode = true};
  x = style.conv(g, "conv1", x, {.k = 64, .kernel = 7, .stride = 2, .pad = 3});
  x = nn::max_pool2d(g, "maxpool1", x, pool);  //  64 x 56 x 56
  x = style.conv(g, "conv2", x, {.k = 64});
  x = style.conv(g, "conv3", x, {.k = 192, .kernel = 3, .pad = 1});
  x = nn::max_pool2d(g, "maxpool2", x, pool);  // 192 x 28 x 28
  block("inception3a", {64, 96, 128, 16, 32, 32});
  block("inception3b", {128, 128, 192, 32, 96, 64});
  x = nn::max_pool2d(g, "maxpool3", x, pool);  // 480 x 14 x 14
  block("inception4a", {192, 96, 208, 16, 48, 64});
  block("inception4b", {160, 112, 224, 24, 64, 64});
  block("inception4c", {128, 128, 256, 24, 64, 64});
  block("inception4d", {112, 144, 288, 32, 64, 64});
  block("inception4e", {256, 160, 320, 32, 128, 128});
  x = nn::max_pool2d(
      g, "maxpool4", x, {.kernel = last_pool, .stride = 2, .ceil_mode = true});  // 832 x 7 x 7
  block("inception5a", {256, 160, 320, 32, 128, 128});
  block("inception5b", {384, 192, 384, 48, 128, 128});
  return x;  // 1024 x 7 x 7
}

ValueId auxiliary_head(Graph& g, const std::string& name, ValueId x, const Style& style) {
  const auto head = g.scope(name, "InceptionAux");
  x = nn::adaptive_avg_pool2d(g, "pool", x, {.size = 4, .functional = true});
  x = style.conv(g, "conv", x, {.k = 128});
  x = nn::flatten(g, "flatten", x, {.functional = true});
  x = nn::linear(g, "fc1", x, {.k = wide(style.opts, 1024), .init = normal(0.01)});
  x = nn::relu(g, "relu", x, {.functional = true});
  x = nn::dropout(g, "dropout", x, {.p = style.opts.dropout.value_or(0.7)});
  return nn::linear(g, "fc2", x, {.k = classes_or(style.opts, 1000), .init = normal(0.01)});
}

Graph googlenet(const NetOpts& opts) {
  Graph g("GoogLeNet", image(opts, 3, 224));
  const Style style{.batch_norm = true, .five = 3, .opts = opts};
  ValueId x = g.input(), after_4a = -1, after_4d = -1;
  if (opts.transform_input.value_or(false)) x = imagenet_to_half(g, x);
  x = trunk(g, x, style, 2, [&](ValueId y, const std::string& name) {
    if (name == "inception4a") after_4a = y;
    if (name == "inception4d") after_4d = y;
  });
  if (opts.aux_logits.value_or(true)) {
    g.add_auxiliary(auxiliary_head(g, "aux1", after_4a, style), 0.3);
    g.add_auxiliary(auxiliary_head(g, "aux2", after_4d, style), 0.3);
  }
  x = nn::adaptive_avg_pool2d(g, "avgpool", x, {});
  x = nn::flatten(g, "flatten", x, {.functional = true});
  x = nn::dropout(g, "dropout", x, {.p = opts.dropout.value_or(0.2)});
  g.set_output(nn::linear(g, "fc", x, {.k = classes_or(opts, 1000), .init = normal(0.01)}));
  return g;
}

Graph googlenet_mnist(const NetOpts& opts) {
  Graph g("GoogLeNet", image({.channels = opts.channels}, 1, 28));
  const Style style{.batch_norm = false, .five = 5, .opts = opts};
  const std::int64_t size = opts.size > 0 ? opts.size : 224;
  ValueId x = nn::upsample(g, "upsample", g.input(), {.size = size});
  x = trunk(g, x, style, 3, [](ValueId, const char*) {});
  x = nn::adaptive_avg_pool2d(g, "avgpool", x, {});
  x = nn::flatten(g, "flatten", x);
  x = nn::dropout(g, "dropout", x, {.p = opts.dropout.value_or(0.2)});
  g.set_output(nn::linear(g, "fc", x, {.k = classes_or(opts, 10)}));
  return g;
}

}  // namespace

std::vector<NetInfo> googlenet_family() {
  return {
      {"googlenet_mnist",
       "GoogLeNet without batch norm on images enlarged to 224x224 inside",
       googlenet_mnist,
       {"dropout"}},
      {"googlenet",
       "GoogLeNet as torchvision defines it, with two auxiliary heads",
       googlenet,
       {"aux_logits", "dropout", "transform_input"}},
  };
}

}  // namespace lamina
