// How parameters start: rules named as in PyTorch's torch.nn.init.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "engine/core/context.h"

namespace lamina {

// The distribution of one parameter's elements.
struct Init {
  enum class Kind { zeros, ones, uniform, normal } kind = Kind::zeros;
  double scale = 0.0;  // uniform: draws from [-scale, scale); normal: the standard deviation
};

// How many terms a weight's element meets in a forward (in) and a backward pass (out).
struct Fans {
  std::int64_t in = 1, out = 1;
};

// What a layer's weight or bias starts as; an empty rule is PyTorch's default for the layer.
using InitRule = std::function<Init(const Fans&)>;

InitRule zeros();
InitRule normal(double deviation);
// Deviation sqrt(2 / fan), for ReLU. He et al., https://arxiv.org/abs/1502.01852
InitRule kaiming_normal_fan_in();
InitRule kaiming_normal_fan_out();
// The same variance by a uniform draw, over the fan in.
InitRule kaiming_uniform();

// The rule applied; without one PyTorch's default for convolution and linear layers, weight and
// bias alike: uniform within 1 / sqrt(fan in).
Init resolve(const InitRule& rule, const Fans& fans);

// The first values of parameter number `parameter` of a net. Each depends on the seed and its own
// position alone: the same on every backend, for any thread count.
void draw_values(const Context& ctx,
                 const Init& init,
                 std::uint64_t seed,
                 std::uint32_t parameter,
                 std::span<float> values);

}  // namespace lamina
