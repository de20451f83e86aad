// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/init.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/core/parallel.h"
#include "engine/core/philox.h"

namespace lamina {

namespace {

float draw(const Init& init, std::uint32_t bits, std::uint32_t more_bits) {
  const double u = uniform_from_bits(bits);
  if (init.kind == Init::Kind::uniform) return static_cast<float>(init.scale * (2.0 * u - 1.0));
  // Box and Muller: a radius and an angle. 1 - u is never zero.
  const double angle = uniform_from_bits(more_bits);
  const double radius = std::sqrt(-2.0 * std::log(1.0 - u));
  return static_cast<float>(init.scale * radius * std::cos(2.0 * std::numbers::pi * angle));
}

double over(double numerator, std::int64_t fan) {
  return std::sqrt(numerator / static_cast<double>(fan));
}

}  // namespace

InitRule zeros() {
  return [](const Fans&) { return Init{}; };
}

InitRule normal(double deviation) {
  return [deviation](const Fans&) { return Init{Init::Kind::normal, deviation}; };
}

InitRule kaiming_normal_fan_in() {
  return [](const Fans& fans) { return Init{Init::Kind::normal, over(2.0, fans.in)}; };
}

InitRule kaiming_normal_fan_out() {
  return [](const Fans& fans) { return Init{Init::Kind::normal, over(2.0, fans.out)}; };
}

InitRule kaiming_uniform() {
  return [](const Fans& fans) { return Init{Init::Kind::uniform, over(6.0, fans.in)}; };
}

Init resolve(const InitRule& rule, const Fans& fans) {
  return rule ? rule(fans) : Init{Init::Kind::uniform, over(1.0, fans.in)};
}

void draw_values(const Context& ctx,
                 const Init& init,
                 std::uint64_t seed,
                 std::uint32_t parameter,
                 std::span<float> values) {
  if (init.kind == Init::Kind::zeros) return;
  if (init.kind == Init::Kind::ones) {
    std::fill(values.begin(), values.end(), 1.0f);
    return;
  }
  constexpr std::int64_t kBlock = 4, kGrain = 4096;  // words of a Philox block; floats of a thread
  parallel_for(
      ctx, static_cast<std::int64_t>(values.size()), kGrain, [&](std::int64_t begin, auto end) {
        for (std::int64_t at = begin; at < end; at += kBlock) {
          const auto block = static_cast<std::uint64_t>(at / kBlock);
          const Philox4 bits = philox(seed, stream::kInit + parameter, 0, block);
          Philox4 more{};
          if (init.kind == Init::Kind::normal)
            more = philox(seed, stream::kInit + parameter, 1, block);
          for (std::int64_t j = 0; j < std::min(kBlock, end - at); ++j)
            values[static_cast<std::size_t>(at + j)] = draw(init, bits.v[j], more.v[j]);
        }
      });
}

}  // namespace lamina
