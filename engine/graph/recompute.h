// Recomputation: a tensor that only the backward pass still reads is given up after the forward
// pass and made again, right before its first reader, from tensors that are there anyway. Chen, Xu,
// Zhang, Guestrin, "Training deep nets with sublinear memory cost",
// https://arxiv.org/abs/1604.06174; which tensors are cheap is what
// LayerOp::can_recompute() says.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "engine/graph/memory_plan.h"

namespace lamina {

// An output that could be made again.
struct Recomputable {
  std::size_t node = 0;     // that makes it
  int lifetime = -1;        // of the output
  int last_forward = 0;     // step of its last reader in the forward pass
  int first_backward = 0;   // and of its first in the backward pass, before which it is made again
  std::vector<int> inputs;  // lifetimes of what it is made from
};

// Gives up as few of the candidates, the largest first, as bring the plan down to `limit` bytes, or
// all that can be where none does: sets their idle steps, and lengthens the lives of what they are
// made from. Returns their indices. None is made from another one, and none costs more memory than
// it frees.
std::vector<std::size_t> recompute_to_fit(std::vector<Lifetime>& lifetimes,
                                          const std::vector<Recomputable>& candidates,
                                          std::size_t limit);

}  // namespace lamina
