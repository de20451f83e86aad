// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/turns.h"

#include <cstdlib>
#include <numeric>
#include <utility>

namespace lamina::simt {

void Turns::set(Order order, std::uint64_t seed) {
  order_ = order;
  random_ = seed;
  chosen_ = true;
}

void Turns::set_from_environment() {
  const char* const text = std::getenv("LAMINA_SIMT_ORDER");
  const std::string wish = text == nullptr ? "forward" : text;
  if (wish == "forward") return set(Order::forward, 1);
  if (wish == "reverse") return set(Order::reverse, 1);
  if (wish == "random") return set(Order::random, 1);
  LAMINA_CHECK(wish.rfind("random:", 0) == 0,
               "LAMINA_SIMT_ORDER={} is none of forward, reverse, random and random:SEED.",
               wish);
  set(Order::random, std::strtoull(wish.c_str() + 7, nullptr, 10));
}

void Turns::choose(int* turns, int count) {
  for (int i = 0; i < count; ++i) turns[i] = order_ == Order::reverse ? count - 1 - i : i;
  if (order_ != Order::random) return;
  for (int i = count - 1; i > 0; --i)
    std::swap(turns[i], turns[draw() % static_cast<unsigned>(i + 1)]);
}

std::uint64_t Turns::choose_warps() { return order_ == Order::random ? draw() : ~std::uint64_t{0}; }

Turns::Walk Turns::walk(std::uint64_t blocks) {
  if (order_ == Order::forward || blocks == 1) return {};
  if (order_ == Order::reverse) return {blocks - 1, blocks - 1};
  Walk walk{draw() % blocks, 0};
  // A step that has no divisor in common with their number leads to every block.
  do walk.step = 1 + draw() % blocks;
  while (std::gcd(walk.step, blocks) != 1);
  return walk;
}

// SplitMix64: https://prng.di.unimi.it/splitmix64.c
std::uint64_t Turns::draw() {
  std::uint64_t z = random_ += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

}  // namespace lamina::simt
