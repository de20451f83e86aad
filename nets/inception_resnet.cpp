// Inception-ResNet-v2: Inception blocks around scaled shortcuts. Szegedy et al.: "Inception-v4,
// Inception-ResNet and the impact of residual connections on learning",
// https://arxiv.org/abs/1602.07261. Not with the paper's stem but in the form whose weights were
// released, under timm's names; dropout is the paper's.
// SPDX-License-Identifier: Apache-2.0
#include "layers/add.h"
#include "layers/concat.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

using Convs = std::vector<nn::Conv2dOpts>;

nn::Conv2dOpts same(std::int64_t k, std::int64_t r, std::int64_t s) {
  return {.k = k, .kernel = {r, s}, .pad = {r / 2, s / 2}};
}

nn::Conv2dOpts halving(std::int64_t k) { return {.k = k, .kernel = 3, .stride = 2}; }

struct Builder {
  Graph& g;
  const NetOpts& opts;

  // Convolution + batch norm + ReLU.
  ValueId conv(const std::string& name, ValueId x, nn::Conv2dOpts conv) const {
    conv.k = wide(opts, conv.k);
    return basic_conv2d(g, name, x, conv, {});
  }
  // A Sequential of them; one alone stands for itself.
  ValueId branch(const std::string& name, ValueId x, const Convs& convs) const {
    if (convs.size() == 1) return conv(name, x, convs[0]);
    const auto sequential = g.scope(name, "Sequential");
    Numbers next;
    for (const nn::Conv2dOpts& each : convs) x = conv(next(), x, each);
    return x;
  }
  ValueId halve(const std::string& name, ValueId x) const {
    return nn::max_pool2d(g, name, x, {.kernel = 3, .stride = 2});
  }
  // x plus a share of what the branches make of it, brought back to the channels of x.
  ValueId residual(ValueId x, const std::vector<Convs>& branches, double scale) const {
    std::vector<ValueId> parts;
    for (const Convs& convs : branches)
      parts.push_back(branch("branch" + std::to_string(parts.size()), x, convs));
    ValueId y = nn::concat(g, "cat", parts);
    y = nn::conv2d(g, "conv2d", y, {.k = g.shape(x).c});
    return nn::add(g, "add", x, y, {.scale = scale});
  }
  // So many residual blocks, each with a ReLU behind it.
  ValueId repeat(const std::string& name,
                 const char* type,
                 int count,
                 ValueId x,
                 const std::vector<Convs>& branches,
                 double scale) const {
    const auto sequential = g.scope(name, "Sequential");
    Numbers next;
    for (int i = 0; i < count; ++i) {
      const auto block = g.scope(next(), type);
      x = nn::relu(g, "relu", residual(x, branches, scale));
    }
    return x;
  }
};

ValueId mixed_5b(const Builder& b, ValueId x) {
  const auto block = b.g.scope("mixed_5b", "Mixed5b");
  const ValueId one = b.branch("branch0", x, {{.k = 96}});
  const ValueId five = b.branch("branch1", x, {{.k = 48}, same(64, 5, 5)});
  const ValueId three = b.branch("branch2", x, {{.k = 64}, same(96, 3, 3), same(96, 3, 3)});
  const auto pooled = b.g.scope("branch3", "Sequential");
  ValueId pool =
      nn::avg_pool2d(b.g, "0", x, {.kernel = 3, .stride = 1, .pad = 1, .count_include_pad = false});
  pool = b.conv("1", pool, {.k = 64});
  return nn::concat(b.g, "cat", {one, five, three, pool});
}

ValueId mixed_6a(const Builder& b, ValueId x) {
  const auto block = b.g.scope("mixed_6a", "Mixed6a");
  const ValueId three = b.branch("branch0", x, {halving(384)});
  const ValueId twice = b.branch("branch1", x, {{.k = 256}, same(256, 3, 3), halving(384)});
  return nn::concat(b.g, "cat", {three, twice, b.halve("branch2", x)});
}

ValueId mixed_7a(const Builder& b, ValueId x) {
  const auto block = b.g.scope("mixed_7a", "Mixed7a");
  const ValueId wider = b.branch("branch0", x, {{.k = 256}, halving(384)});
  const ValueId three = b.branch("branch1", x, {{.k = 256}, halving(288)});
  const ValueId twice = b.branch("branch2", x, {{.k = 256}, same(288, 3, 3), halving(320)});
  return nn::concat(b.g, "cat", {wider, three, twice, b.halve("branch3", x)});
}

Graph inception_resnet_v2(const NetOpts& opts) {
  Graph g("InceptionResnetV2", image(opts, 3, 299));
  const Builder b{g, opts};
  ValueId x = g.input();
  x = b.conv("conv2d_1a", x, halving(32));
  x = b.conv("conv2d_2a", x, {.k = 32, .kernel = 3});
  x = b.conv("conv2d_2b", x, same(64, 3, 3));
  x = b.halve("maxpool_3a", x);  //   64 x 73 x 73
  x = b.conv("conv2d_3b", x, {.k = 80});
  x = b.conv("conv2d_4a", x, {.k = 192, .kernel = 3});
  x = b.halve("maxpool_5a", x);  //  192 x 35 x 35
  x = mixed_5b(b, x);
  const Convs twice{{.k = 32}, same(48, 3, 3), same(64, 3, 3)};
  x = b.repeat("repeat", "Block35", 10, x, {{{.k = 32}}, {{.k = 32}, same(32, 3, 3)}, twice}, 0.17);
  x = mixed_6a(b, x);  // 1088 x 17 x 17
  const Convs seven{{.k = 128}, same(160, 1, 7), same(192, 7, 1)};
  x = b.repeat("repeat_1", "Block17", 20, x, {{{.k = 192}}, seven}, 0.1);
  x = mixed_7a(b, x);  // 2080 x  8 x  8
  const std::vector<Convs> last{{{.k = 192}}, {{.k = 192}, same(224, 1, 3), same(256, 3, 1)}};
  x = b.repeat("repeat_2", "Block8", 9, x, last, 0.2);
  {
    const auto block = g.scope("block8", "Block8");
    x = b.residual(x, last, 1);
  }
  x = b.conv("conv2d_7b", x, {.k = 1536});
  x = nn::adaptive_avg_pool2d(g, "global_pool", x, {});
  x = nn::flatten(g, "flatten", x, {.functional = true});
  x = nn::dropout(g, "head_drop", x, {.p = opts.dropout.value_or(0.2)});
  g.set_output(nn::linear(g, "classif", x, {.k = classes_or(opts, 1000)}));
  return g;
}

}  // namespace

std::vector<NetInfo> inception_resnet_family() {
  return {{"inception_resnet_v2",
           "Inception-ResNet-v2 as timm defines it",
           inception_resnet_v2,
           {"dropout"}}};
}

}  // namespace lamina
