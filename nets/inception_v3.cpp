// Inception v3. Szegedy et al.: "Rethinking the Inception architecture for computer vision",
// https://arxiv.org/abs/1512.00567; as torchvision defines it. The auxiliary head counts in
// training only, with weight 0.4.
// SPDX-License-Identifier: Apache-2.0
#include "layers/concat.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

// Builds convolution + batch norm + ReLU under the current scope; initialised with a normal of 0.1,
// cut off at 2, which is twenty deviations away.
struct Builder {
  Graph& g;
  const NetOpts& opts;

  ValueId conv(const std::string& name, ValueId x, nn::Conv2dOpts conv) const {
    conv.k = wide(opts, conv.k);
    conv.init = normal(0.1);
    return basic_conv2d(g, name, x, conv);
  }
  // 1x7 and 7x1, which keep the map's size.
  ValueId row(const std::string& name, ValueId x, std::int64_t k, std::int64_t s) const {
    return conv(name, x, {.k = k, .kernel = {1, s}, .pad = {0, s / 2}});
  }
  ValueId column(const std::string& name, ValueId x, std::int64_t k, std::int64_t r) const {
    return conv(name, x, {.k = k, .kernel = {r, 1}, .pad = {r / 2, 0}});
  }
  ValueId average(ValueId x) const {
    return nn::avg_pool2d(g, "pool", x, {.kernel = 3, .stride = 1, .pad = 1, .functional = true});
  }
  ValueId halve(ValueId x) const {
    return nn::max_pool2d(g, "pool", x, {.kernel = 3, .stride = 2, .functional = true});
  }
};

ValueId block_a(const Builder& b, const char* name, ValueId x, std::int64_t pooled) {
  const auto scope = b.g.scope(name, "InceptionA");
  const ValueId one = b.conv("branch1x1", x, {.k = 64});
  ValueId five = b.conv("branch5x5_1", x, {.k = 48});
  five = b.conv("branch5x5_2", five, {.k = 64, .kernel = 5, .pad = 2});
  ValueId three = b.conv("branch3x3dbl_1", x, {.k = 64});
  three = b.conv("branch3x3dbl_2", three, {.k = 96, .kernel = 3, .pad = 1});
  three = b.conv("branch3x3dbl_3", three, {.k = 96, .kernel = 3, .pad = 1});
  const ValueId pool = b.conv("branch_pool", b.average(x), {.k = pooled});
  return nn::concat(b.g, "cat", {one, five, three, pool});
}

ValueId block_b(const Builder& b, const char* name, ValueId x) {
  const auto scope = b.g.scope(name, "InceptionB");
  const ValueId three = b.conv("branch3x3", x, {.k = 384, .kernel = 3, .stride = 2});
  ValueId twice = b.conv("branch3x3dbl_1", x, {.k = 64});
  twice = b.conv("branch3x3dbl_2", twice, {.k = 96, .kernel = 3, .pad = 1});
  twice = b.conv("branch3x3dbl_3", twice, {.k = 96, .kernel = 3, .stride = 2});
  return nn::concat(b.g, "cat", {three, twice, b.halve(x)});
}

ValueId block_c(const Builder& b, const char* name, ValueId x, std::int64_t k) {
  const auto scope = b.g.scope(name, "InceptionC");
  const ValueId one = b.conv("branch1x1", x, {.k = 192});
  ValueId seven = b.conv("branch7x7_1", x, {.k = k});
  seven = b.row("branch7x7_2", seven, k, 7);
  seven = b.column("branch7x7_3", seven, 192, 7);
  ValueId twice = b.conv("branch7x7dbl_1", x, {.k = k});
  twice = b.column("branch7x7dbl_2", twice, k, 7);
  twice = b.row("branch7x7dbl_3", twice, k, 7);
  twice = b.column("branch7x7dbl_4", twice, k, 7);
  twice = b.row("branch7x7dbl_5", twice, 192, 7);
  const ValueId pool = b.conv("branch_pool", b.average(x), {.k = 192});
  return nn::concat(b.g, "cat", {one, seven, twice, pool});
}

ValueId block_d(const Builder& b, const char* name, ValueId x) {
  const auto scope = b.g.scope(name, "InceptionD");
  ValueId three = b.conv("branch3x3_1", x, {.k = 192});
  three = b.conv("branch3x3_2", three, {.k = 320, .kernel = 3, .stride = 2});
  ValueId seven = b.conv("branch7x7x3_1", x, {.k = 192});
  seven = b.row("branch7x7x3_2", seven, 192, 7);
  seven = b.column("branch7x7x3_3", seven, 192, 7);
  seven = b.conv("branch7x7x3_4", seven, {.k = 192, .kernel = 3, .stride = 2});
  return nn::concat(b.g, "cat", {three, seven, b.halve(x)});
}

ValueId block_e(const Builder& b, const char* name, ValueId x) {
  const auto scope = b.g.scope(name, "InceptionE");
  const ValueId one = b.conv("branch1x1", x, {.k = 320});
  const ValueId three = b.conv("branch3x3_1", x, {.k = 384});
  const ValueId three_a = b.row("branch3x3_2a", three, 384, 3);
  const ValueId three_b = b.column("branch3x3_2b", three, 384, 3);
  ValueId twice = b.conv("branch3x3dbl_1", x, {.k = 448});
  twice = b.conv("branch3x3dbl_2", twice, {.k = 384, .kernel = 3, .pad = 1});
  const ValueId twice_a = b.row("branch3x3dbl_3a", twice, 384, 3);
  const ValueId twice_b = b.column("branch3x3dbl_3b", twice, 384, 3);
  const ValueId pool = b.conv("branch_pool", b.average(x), {.k = 192});
  return nn::concat(b.g, "cat", {one, three_a, three_b, twice_a, twice_b, pool});
}

ValueId auxiliary_head(const Builder& b, ValueId x) {
  Graph& g = b.g;
  const auto head = g.scope("AuxLogits", "InceptionAux");
  x = nn::avg_pool2d(g, "pool", x, {.kernel = 5, .stride = 3, .functional = true});
  x = b.conv("conv0", x, {.k = 128});
  x = b.conv("conv1", x, {.k = 768, .kernel = 5});
  x = nn::adaptive_avg_pool2d(g, "avgpool", x, {.functional = true});
  x = nn::flatten(g, "flatten", x, {.functional = true});
  return nn::linear(g, "fc", x, {.k = classes_or(b.opts, 1000), .init = normal(0.001)});
}

Graph inception_v3(const NetOpts& opts) {
  Graph g("Inception3", image(opts, 3, 299));
  const Builder b{g, opts};
  ValueId x = g.input();
  if (opts.transform_input.value_or(false)) x = imagenet_to_half(g, x);
  x = b.conv("Conv2d_1a_3x3", x, {.k = 32, .kernel = 3, .stride = 2});
  x = b.conv("Conv2d_2a_3x3", x, {.k = 32, .kernel = 3});
  x = b.conv("Conv2d_2b_3x3", x, {.k = 64, .kernel = 3, .pad = 1});  //   64 x 147 x 147
  x = nn::max_pool2d(g, "maxpool1", x, {.kernel = 3, .stride = 2});  //   64 x  73 x  73
  x = b.conv("Conv2d_3b_1x1", x, {.k = 80});
  x = b.conv("Conv2d_4a_3x3", x, {.k = 192, .kernel = 3});           //  192 x  71 x  71
  x = nn::max_pool2d(g, "maxpool2", x, {.kernel = 3, .stride = 2});  //  192 x  35 x  35
  x = block_a(b, "Mixed_5b", x, 32);
  x = block_a(b, "Mixed_5c", x, 64);
  x = block_a(b, "Mixed_5d", x, 64);
  x = block_b(b, "Mixed_6a", x);  //  768 x  17 x  17
  x = block_c(b, "Mixed_6b", x, 128);
  x = block_c(b, "Mixed_6c", x, 160);
  x = block_c(b, "Mixed_6d", x, 160);
  x = block_c(b, "Mixed_6e", x, 192);
  if (opts.aux_logits.value_or(true)) g.add_auxiliary(auxiliary_head(b, x), 0.4);
  x = block_d(b, "Mixed_7a", x);  // 1280 x   8 x   8
  x = block_e(b, "Mixed_7b", x);
  x = block_e(b, "Mixed_7c", x);  // 2048 x   8 x   8
  x = nn::adaptive_avg_pool2d(g, "avgpool", x, {});
  x = nn::dropout(g, "dropout", x, {.p = opts.dropout.value_or(0.5)});
  x = nn::flatten(g, "flatten", x, {.functional = true});
  g.set_output(nn::linear(g, "fc", x, {.k = classes_or(opts, 1000), .init = normal(0.1)}));
  return g;
}

}  // namespace

std::vector<NetInfo> inception_v3_family() {
  return {{"inception_v3",
           "Inception v3 as torchvision defines it, with an auxiliary head",
           inception_v3,
           {"aux_logits", "dropout", "transform_input"}}};
}

}  // namespace lamina
