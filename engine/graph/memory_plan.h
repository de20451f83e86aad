// Places tensors with known lifetimes into one slab, so that a step allocates nothing.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace lamina {

// Live during the steps [first, last] of the step list, but for the idle ones in between.
struct Lifetime {
  std::string name;
  std::size_t bytes = 0;
  int first = 0, last = 0;
  int idle_first = 0, idle_last = -1;  // steps whose tensors may have the memory; none here
  std::size_t offset = 0;              // the answer, a multiple of kSlabAlignment

  bool alive_at(int step) const {
    return first <= step && step <= last && (step < idle_first || idle_last < step);
  }
  // Whether both are alive at some step.
  bool meets(const Lifetime& other) const;
};

inline constexpr std::size_t kSlabAlignment = 64;
inline std::size_t align_up(std::size_t bytes) {
  return (bytes + kSlabAlignment - 1) / kSlabAlignment * kSlabAlignment;
}

// Sets every offset such that tensors alive at the same step never overlap; returns the slab's
// bytes. Greedy by size (Pisarchyk, Lee, "Efficient memory management for deep neural net
// inference", https://arxiv.org/abs/2001.03288): the largest first, each at the lowest gap that
// fits.
std::size_t plan_memory(std::vector<Lifetime>& items);

}  // namespace lamina
