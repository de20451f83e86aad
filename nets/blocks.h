// What the families share: reading options, numbering the children of a Sequential, and
// convolution + activation.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/channel_affine.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "nets/registry.h"

namespace lamina::nets_detail {

inline std::int64_t classes_or(const NetOpts& opts, std::int64_t defined) {
  return opts.classes > 0 ? opts.classes : defined;
}

// The shape of one input image, as defined or as the options say.
inline Shape image(const NetOpts& opts, std::int64_t channels, std::int64_t size) {
  const std::int64_t side = opts.size > 0 ? opts.size : size;
  return {1, side, side, opts.channels > 0 ? opts.channels : channels};
}

// Channels (or hidden units) under the options' width.
inline std::int64_t wide(const NetOpts& opts, std::int64_t channels) {
  const double scaled = std::round(opts.width * static_cast<double>(channels));
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(scaled));
}

// "0", "1", ...: the children of an unnamed nn.Sequential.
class Numbers {
 public:
  explicit Numbers(int first = 0) : next_(first) {}
  std::string operator()() { return std::to_string(next_++); }

 private:
  int next_;
};

// A convolution and the ReLU behind it, the next two children of a Sequential.
inline ValueId conv_relu(Graph& g, Numbers& next, ValueId x, const nn::Conv2dOpts& conv) {
  x = nn::conv2d(g, next(), x, conv);
  return nn::relu(g, next(), x);
}

// A convolution and the ReLU behind it, which is a function call in the definition.
inline ValueId conv_relu(Graph& g, const std::string& name, ValueId x, const nn::Conv2dOpts& conv) {
  x = nn::conv2d(g, name, x, conv);
  return nn::relu(g, name + "_relu", x, {.functional = true});
}

// BasicConv2d of the Inception family: a convolution without bias, batch norm and ReLU, which is a
// function call in torchvision's definitions.
inline ValueId basic_conv2d(Graph& g,
                            const std::string& name,
                            ValueId x,
                            nn::Conv2dOpts conv,
                            const nn::ActivationOpts& relu = {.functional = true}) {
  const auto block = g.scope(name, "BasicConv2d");
  conv.bias = false;
  x = nn::conv2d(g, "conv", x, conv);
  x = nn::batch_norm2d(g, "bn", x, {.eps = 1e-3});
  return nn::relu(g, "relu", x, relu);
}

// Filters of a GoogLeNet block: 1x1; 1x1 and 3x3; 1x1 and 5x5 (or 3x3); behind the pooling.
struct InceptionFilters {
  std::int64_t one, three_in, three, five_in, five, pool;
};

// torchvision's transform_input: images normalised with ImageNet's mean and deviation become
// (x - 0.5) / 0.5, which the nets converted from TensorFlow were trained on.
inline ValueId imagenet_to_half(Graph& g, ValueId x) {
  nn::ChannelAffineOpts opts;
  for (const auto& [mean, deviation] : {std::pair{0.485, 0.229}, {0.456, 0.224}, {0.406, 0.225}}) {
    opts.scale.push_back(static_cast<float>(deviation / 0.5));
    opts.shift.push_back(static_cast<float>((mean - 0.5) / 0.5));
  }
  return nn::channel_affine(g, "transform_input", x, opts);
}

}  // namespace lamina::nets_detail
