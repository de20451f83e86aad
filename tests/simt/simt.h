// Runs CUDA kernels on the host, for the sanitizers to look at: block after block, each thread of a
// block a fiber, all on one thread of the system.
//
// A thread runs until it meets a barrier or a shuffle and goes on when all whom it waits for have
// come. What is wrong with a kernel shows as follows:
//   - reads and writes out of bounds, of global and of shared memory: AddressSanitizer;
//   - shared memory read before it was written: it starts as 0xFF bytes, which are NaN;
//   - threads that wait for different things, or for one that has left: an abort that names them;
//   - a missing barrier: other results in another order of the threads, and ThreadSanitizer, to
//     which every CUDA thread is a thread of its own, whether of one block or of two. A shuffle
//     orders no memory for it, as in CUDA: only what is shuffled arrives.
// Not seen: what depends on blocks that run at once, and the memory model finer than a barrier.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string>

#include "engine/core/context.h"

namespace lamina::simt {

struct Dim {
  unsigned x = 0, y = 0, z = 0;
};

struct Launch {
  std::string name;
  Dim grid;
  int block = 0;
  std::function<void()> thread;  // what one thread does
};

// Returns when the last thread has left. The kernel must not throw.
void run(const Launch& launch);

// The order in which threads, and blocks, take turns. A kernel gives the same bits in each.
// LAMINA_SIMT_ORDER=forward, reverse or random[:seed] chooses where nobody else does.
enum class Order { forward, reverse, random };
void set_order(Order order, std::uint64_t seed = 1);
void set_order_from_environment();

// For the words of tests/simt/language.h; called by kernels only.
using Site = std::source_location;
inline constexpr int kMostThreads = 256, kMostWords = 2;
void barrier(const Site& site);
// Every lane gives its words and gets those of lane ^ mask in their place.
void exchange(std::uint64_t* words, int count, int mask, const Site& site);
// The shared memory of the declaration that `key` stands for: the same for a whole block.
void* shared(const void* key, std::size_t bytes, std::size_t alignment);

}  // namespace lamina::simt

// At global scope, as in CUDA.
extern lamina::simt::Dim threadIdx, blockIdx, blockDim, gridDim;
