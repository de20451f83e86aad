// What the tests of tests/simt launch their toy kernels with.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/context.h"
#include "kernels/cuda/language.h"

namespace lamina::simt {

// A context and its arrays. Device memory is host memory here, so tests read and write it.
class KernelRun {
 public:
  Context ctx = make_context({.backend = BackendKind::cuda});

  // Holds garbage.
  template <class T>
  T* array(std::size_t count) {
    buffers_.push_back(ctx.allocate(count * sizeof(T)));
    return static_cast<T*>(buffers_.back().data());
  }
  template <class T>
  T* array(std::size_t count, T value) {
    T* const data = array<T>(count);
    std::fill(data, data + count, value);
    return data;
  }

 private:
  std::vector<Buffer> buffers_;  // behind the context, so gone before it
};

// Runs the body with the threads taking turns forward, backward and at random, then puts the
// order back that the environment asks for.
template <class Body>
void in_every_order(Body&& body) {
  set_order(Order::forward);
  body();
  set_order(Order::reverse);
  body();
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    set_order(Order::random, seed);
    body();
  }
  set_order_from_environment();
}

}  // namespace lamina::simt
