// The order in which threads and blocks take turns.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tests/simt/simt.h"

namespace lamina::simt {

class Turns {
 public:
  void set(Order order, std::uint64_t seed);
  void set_from_environment();
  void set_if_nobody_did() {
    if (!chosen_) set_from_environment();
  }

  // turns[i]: the thread whose turn is the i-th. At random it is another order with every call.
  void choose(int* turns, int count);

  // A bit a warp: whether it goes on, of those that can. At random it is another half every time.
  std::uint64_t choose_warps();

  // Block first, then step blocks further, and so on, modulo their number: each once.
  struct Walk {
    std::uint64_t first = 0, step = 1;
  };
  Walk walk(std::uint64_t blocks);

 private:
  std::uint64_t draw();

  Order order_ = Order::forward;
  bool chosen_ = false;
  std::uint64_t random_ = 1;
};

}  // namespace lamina::simt
