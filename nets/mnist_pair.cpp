// Two nets of nearly equal size, one fully connected and one convolutional: the pair that shows
// what convolution gains from the order of the pixels (permute them and the gain is gone).
// SPDX-License-Identifier: Apache-2.0
#include "layers/softmax.h"
#include "nets/blocks.h"

namespace lamina {

using namespace nets_detail;

namespace {

Graph fc2_mnist(const NetOpts& opts) {
  Graph g("FC2Layer", image(opts, 1, 28));
  g.set_loss(LossKind::nll);
  ValueId x = nn::flatten(g, "flatten", g.input(), {.functional = true});
  const auto network = g.scope("network", "Sequential");
  x = nn::linear(g, "0", x, {.k = wide(opts, 8)});
  x = nn::relu(g, "1", x);
  x = nn::linear(g, "2", x, {.k = wide(opts, 8)});
  x = nn::relu(g, "3", x);
  x = nn::linear(g, "4", x, {.k = classes_or(opts, 10)});
  g.set_output(nn::log_softmax(g, "5", x));
  return g;
}

Graph cnn_mnist(const NetOpts& opts) {
  Graph g("CNN", image(opts, 1, 28));
  g.set_loss(LossKind::nll);
  ValueId x = nn::conv2d(g, "conv1", g.input(), {.k = wide(opts, 6), .kernel = 5});  // 6 x 24 x 24
  x = nn::relu(g, "relu1", x, {.functional = true});
  x = nn::max_pool2d(g, "pool1", x, {.kernel = 2, .functional = true});  // 6 x 12 x 12
  x = nn::conv2d(g, "conv2", x, {.k = wide(opts, 6), .kernel = 5});      // 6 x  8 x  8
  x = nn::relu(g, "relu2", x, {.functional = true});
  x = nn::max_pool2d(g, "pool2", x, {.kernel = 2, .functional = true});  // 6 x  4 x  4
  x = nn::flatten(g, "flatten", x, {.functional = true});                // 96
  x = nn::linear(g, "fc1", x, {.k = wide(opts, 50)});
  x = nn::relu(g, "relu3", x, {.functional = true});
  x = nn::linear(g, "fc2", x, {.k = classes_or(opts, 10)});
  g.set_output(nn::log_softmax(g, "log_softmax", x, {.functional = true}));
  return g;
}

}  // namespace

std::vector<NetInfo> mnist_pair_family() {
  return {
      {"fc2_mnist", "two hidden linear layers of 8 units, log-softmax", fc2_mnist},
      {"cnn_mnist", "two 5x5 convolutions of 6 filters, log-softmax", cnn_mnist},
  };
}

}  // namespace lamina
