// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/init.h"

#include <cmath>

namespace lamina {

namespace {

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

}  // namespace lamina
