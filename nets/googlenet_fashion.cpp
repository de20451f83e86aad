// GoogLeNet on one 96x96 channel, and four changes to it: batch norm (Ioffe, Szegedy,
// https://arxiv.org/abs/1502.03167), the 5x5 as two 3x3 and the windows split into rows and columns
// (Szegedy et al., https://arxiv.org/abs/1512.00567), and residual blocks behind it (He et al.,
// https://arxiv.org/abs/1512.03385).
// SPDX-License-Identifier: Apache-2.0
#include "layers/add.h"
#include "layers/concat.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

enum class Variant {
  plain,
  batch_norm,      // behind the stem's convolutions and every block
  three_by_three,  // two 3x3 in place of the 5x5
  asymmetric,      // 1x3 and 3x1 in place of each 3x3
};

// 1x3 pads both axes and 3x1 none, so that the rows added by the first are taken by the second.
ValueId row_then_column(Graph& g, const std::string& name, int first, ValueId x, std::int64_t k) {
  x = conv_relu(g, name + std::to_string(first), x, {.k = k, .kernel = {1, 3}, .pad = 1});
  return conv_relu(g, name + std::to_string(first + 1), x, {.k = k, .kernel = {3, 1}});
}

ValueId inception(Graph& g,
                  const std::string& name,
                  ValueId x,
                  const InceptionFilters& filters,
                  Variant variant,
                  const NetOpts& opts) {
  const char* const type = variant == Variant::asymmetric       ? "Inception2"
                           : variant == Variant::three_by_three ? "Inception1"
                                                                : "Inception";
  const auto block = g.scope(name, type);
  const std::int64_t three = wide(opts, filters.three), five = wide(opts, filters.five);
  const ValueId p1 = conv_relu(g, "p1_1", x, {.k = wide(opts, filters.one)});
  ValueId p2 = conv_relu(g, "p2_1", x, {.k = wide(opts, filters.three_in)});
  if (variant == Variant::asymmetric)
    p2 = row_then_column(g, "p2_", 2, p2, three);
  else
    p2 = conv_relu(g, "p2_2", p2, {.k = three, .kernel = 3, .pad = 1});
  ValueId p3 = conv_relu(g, "p3_1", x, {.k = wide(opts, filters.five_in)});
  if (variant == Variant::asymmetric) {
    p3 = row_then_column(g, "p3_", 2, p3, five);
    p3 = row_then_column(g, "p3_", 4, p3, five);
  } else if (variant == Variant::three_by_three) {
    p3 = conv_relu(g, "p3_2", p3, {.k = five, .kernel = 3, .pad = 1});
    p3 = conv_relu(g, "p3_3", p3, {.k = five, .kernel = 3, .pad = 1});
  } else {
    p3 = conv_relu(g, "p3_2", p3, {.k = five, .kernel = 5, .pad = 2});
  }
  ValueId p4 = nn::max_pool2d(g, "p4_1", x, {.kernel = 3, .stride = 1, .pad = 1});
  p4 = conv_relu(g, "p4_2", p4, {.k = wide(opts, filters.pool)});
  return nn::concat(g, "cat", {p1, p2, p3, p4});
}

// The five stages, each a Sequential named by its number; ends with the averaged maps.
ValueId trunk(Graph& g, Variant variant, const NetOpts& opts) {
  const nn::Pool2dOpts pool{.kernel = 3, .stride = 2, .pad = 1};
  const bool normed = variant == Variant::batch_norm;
  ValueId x = g.input();
  {
    const auto stage = g.scope("0", "Sequential");
    Numbers next;
    x = nn::conv2d(g, next(), x, {.k = wide(opts, 64), .kernel = 7, .stride = 2, .pad = 3});
    if (normed) x = nn::batch_norm2d(g, next(), x);
    x = nn::relu(g, next(), x);
    x = nn::max_pool2d(g, next(), x, pool);  // 64 x 24 x 24
  }
  {
    // Without an activation, as the original has it.
    const auto stage = g.scope("1", "Sequential");
    Numbers next;
    x = nn::conv2d(g, next(), x, {.k = wide(opts, 64)});
    if (normed) x = nn::batch_norm2d(g, next(), x);
    x = nn::conv2d(g, next(), x, {.k = wide(opts, 192), .kernel = 3, .pad = 1});
    if (normed) x = nn::batch_norm2d(g, next(), x);
    x = nn::max_pool2d(g, next(), x, pool);  // 192 x 12 x 12
  }
  const std::vector<std::vector<InceptionFilters>> stages{
      {{64, 96, 128, 16, 32, 32}, {128, 128, 192, 32, 96, 64}},
      {{192, 96, 208, 16, 48, 64},
       {160, 112, 224, 24, 64, 64},
       {128, 128, 256, 24, 64, 64},
       {112, 144, 288, 32, 64, 64},
       {256, 160, 320, 32, 128, 128}},
      {{256, 160, 320, 32, 128, 128}, {384, 192, 384, 48, 128, 128}}};
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const auto stage = g.scope(std::to_string(i + 2), "Sequential");
    Numbers next;
    for (const InceptionFilters& filters : stages[i]) {
      x = inception(g, next(), x, filters, variant, opts);
      if (normed) x = nn::batch_norm2d(g, next(), x);
    }
    if (i + 1 < stages.size())
      x = nn::max_pool2d(g, next(), x, pool);  // 480 x 6 x 6, 832 x 3 x 3
    else
      x = nn::adaptive_avg_pool2d(g, next(), x, {.type = "GAP"});  // 1024 x 1 x 1
  }
  return x;
}

template <Variant variant>
Graph classifier(const NetOpts& opts) {
  Graph g("Sequential", image(opts, 1, 96));
  ValueId x = trunk(g, variant, opts);
  x = nn::flatten(g, "5", x, {.type = "Flat"});
  g.set_output(nn::linear(g, "6", x, {.k = classes_or(opts, 10)}));
  return g;
}

// The definition creates its convolutions before its batch norms.
ValueId residual(
    Graph& g, const std::string& name, ValueId x, std::int64_t k, std::int64_t stride) {
  const auto block = g.scope(name, "Residual");
  std::vector<std::string> children{"conv1", "conv2", "bn1", "bn2"};
  if (stride > 1) children.insert(children.begin() + 2, "conv3");
  g.declare(children);
  ValueId y = nn::conv2d(g, "conv1", x, {.k = k, .kernel = 3, .stride = stride, .pad = 1});
  y = nn::batch_norm2d(g, "bn1", y);
  y = nn::relu(g, "relu", y, {.functional = true});
  y = nn::conv2d(g, "conv2", y, {.k = k, .kernel = 3, .pad = 1});
  y = nn::batch_norm2d(g, "bn2", y);
  if (stride > 1) x = nn::conv2d(g, "conv3", x, {.k = k, .stride = stride});
  return nn::relu(g, "relu", nn::add(g, "add", y, x), {.functional = true});
}

// The trunk's averages are 1x1 maps, and the residual stages run on them, as in the original.
Graph googlenet_fashion_residual(const NetOpts& opts) {
  Graph g("Sequential", image(opts, 1, 96));
  ValueId x = trunk(g, Variant::three_by_three, opts);
  const std::int64_t channels[] = {1024, 512, 256, 256};
  for (int i = 0; i < 4; ++i) {
    const auto stage = g.scope("resnet_block" + std::to_string(i + 1), "Sequential");
    x = residual(g, "0", x, wide(opts, channels[i]), i == 0 ? 1 : 2);
    x = residual(g, "1", x, wide(opts, channels[i]), 1);
  }
  x = nn::adaptive_avg_pool2d(g, "global_avg_pool", x, {.type = "GAP"});
  const auto fc = g.scope("fc", "Sequential");
  x = nn::flatten(g, "0", x, {.type = "Flat"});
  g.set_output(nn::linear(g, "1", x, {.k = classes_or(opts, 10)}));
  return g;
}

}  // namespace

std::vector<NetInfo> googlenet_fashion_family() {
  return {
      {"googlenet_fashion", "GoogLeNet on 96x96 images", classifier<Variant::plain>},
      {"googlenet_fashion_bn", "with batch norm", classifier<Variant::batch_norm>},
      {"googlenet_fashion_3x3",
       "two 3x3 convolutions for each 5x5",
       classifier<Variant::three_by_three>},
      {"googlenet_fashion_asym",
       "1x3 and 3x1 convolutions for each 3x3",
       classifier<Variant::asymmetric>},
      {"googlenet_fashion_residual",
       "with four residual stages behind the averaged maps",
       googlenet_fashion_residual},
  };
}

}  // namespace lamina
