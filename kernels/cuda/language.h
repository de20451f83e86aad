// The few words that our kernels are written in, so that one source serves two readers: nvcc, and a
// host compiler that runs the same kernels block by block under its sanitizers (tests/simt).
//
//   template <class T>
//   LAMINA_KERNEL scale(const T* x, T* y, std::int64_t count, float factor) {
//     LAMINA_SHARED(float, partial, [32]);
//     for (std::int64_t i = first_thread(); i < count; i += all_threads())
//       y[i] = from_f32<T>(factor * as_f32(x[i]));
//   }
//   launch(ctx, "scale", blocks_for(count), kBlock, scale<float>, x, y, count, factor);
//
// LAMINA_KERNEL       a kernel of at most kBlock threads a block
// LAMINA_WIDE_KERNEL  the same, whose threads want more than the 80 registers that leave room for
//                     three blocks on a multiprocessor: two are enough
// LAMINA_DEVICE       a function that kernels call
// LAMINA_SHARED       shared memory of a block: type, name, extents
// LAMINA_ROLLED       in front of a loop: not unrolled
// launch              Grid is up to three-dimensional, blocks are one-dimensional
// barrier()           __syncthreads
// shuffle_xor(v, m)   the value of lane ^ m; every lane of a full warp takes part
// add_atomic(p, v)    integers only, and min_atomic: what they give does not depend on the order
// last_block(p, n)    true in every thread of the last of n blocks to get there; that one may read
//                     what the others have written; all threads of a block take part
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/core/context.h"

namespace lamina::cuda {

inline constexpr int kBlock = 256, kWarp = 32;

struct Grid {
  unsigned x = 1, y = 1, z = 1;
};

// Enough blocks for `count` items with one thread each, and no more than fill any card a few times
// over: kernels stride over the rest.
inline Grid blocks_for(std::int64_t count, std::int64_t per_thread = 1) {
  constexpr std::int64_t kMost = 16 * 132;
  const std::int64_t per_block = kBlock * per_thread;
  const std::int64_t blocks = (count + per_block - 1) / per_block;
  return {static_cast<unsigned>(blocks < 1 ? 1 : blocks > kMost ? kMost : blocks)};
}

}  // namespace lamina::cuda

#ifdef LAMINA_SIMT
#include "tests/simt/language.h"
#else
#include "kernels/cuda/language_cuda.h"
#endif

namespace lamina::cuda {

LAMINA_DEVICE std::int64_t first_thread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
LAMINA_DEVICE std::int64_t all_threads() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

// The sum over a block, in an order that is always the same; every thread gets it. `scratch` holds
// kWarp values and may be used again after the next barrier.
template <class V>
LAMINA_DEVICE V block_sum(V value, V* scratch) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  const int warps = (static_cast<int>(blockDim.x) + kWarp - 1) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            warp = static_cast<int>(threadIdx.x) / kWarp;
  if (lane == 0) scratch[warp] = value;
  barrier();
  V total = scratch[0];
  for (int i = 1; i < warps; ++i) total += scratch[i];
  barrier();
  return total;
}

template <class V>
LAMINA_DEVICE V warp_sum(V value) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  return value;
}

// Which block is the last differs from run to run, so what it does may depend on the data alone.
// `ticket` is one of tickets_of(), zero before and afterwards: a recorded launch can be replayed.
// The fences are those of threadFenceReduction in NVIDIA's CUDA samples.
LAMINA_DEVICE bool last_block(std::uint32_t* ticket, unsigned blocks) {
  LAMINA_SHARED(bool, last);
  fence();
  barrier();
  if (threadIdx.x == 0) last = wrap_atomic(ticket, blocks - 1) == blocks - 1;
  barrier();
  fence();
  return last;
}

}  // namespace lamina::cuda
