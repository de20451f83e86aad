// SPDX-License-Identifier: Apache-2.0
#include "kernels/dropout.h"

#include <cmath>

#include "engine/core/parallel.h"
#include "engine/core/philox.h"
#include "kernels/checks.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {
namespace {

// Philox blocks of four elements side by side, each counter word in the low half of a 64-bit lane.
using Words = std::uint64_t __attribute__((vector_size(4 * kLanes)));
constexpr std::int64_t kBatch = 2 * kLanes;  // elements

LAMINA_INLINE IntVec as_elements(const Words& words) {
  IntVec v;
  std::memcpy(&v, &words, sizeof v);
  return v;
}

// The draws of engine/core/philox.h for elements [first, first + kBatch), first a multiple of four.
LAMINA_INLINE void draw(std::uint64_t seed,
                        std::uint32_t stream,
                        std::uint32_t step,
                        std::int64_t first,
                        IntVec (&bits)[2]) {
  constexpr std::uint64_t kLow = 0xFFFFFFFF;
#ifdef __AVX512F__
  constexpr Words kOrder{0, 1, 2, 3, 4, 5, 6, 7};
#else
  constexpr Words kOrder{0, 1, 2, 3};
#endif
  const Words block = static_cast<std::uint64_t>(first / 4) + kOrder;
  Words c0 = block & kLow, c1 = block >> 32, c2 = Words{} + step, c3 = Words{} + stream;
  std::uint64_t k0 = seed & kLow, k1 = seed >> 32;
  for (int round = 0; round < 10; ++round) {
    const Words p0 = c0 * 0xD2511F53u, p1 = c2 * 0xCD9E8D57u;
    c0 = (p1 >> 32) ^ c1 ^ k0;
    c2 = (p0 >> 32) ^ c3 ^ k1;
    c1 = p1 & kLow;
    c3 = p0 & kLow;
    k0 = (k0 + 0x9E3779B9u) & kLow;
    k1 = (k1 + 0xBB67AE85u) & kLow;
  }
  const Words a = c0 | (c1 << 32), b = c2 | (c3 << 32);
#ifdef __AVX512F__
  bits[0] = as_elements(__builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11));
  bits[1] = as_elements(__builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15));
#else
  bits[0] = as_elements(__builtin_shufflevector(a, b, 0, 4, 1, 5));
  bits[1] = as_elements(__builtin_shufflevector(a, b, 2, 6, 3, 7));
#endif
}

}  // namespace

void dropout(Context& ctx,
             const DropoutOpts& opts,
             const StepState* state,
             const Tensor& x,
             const Tensor& y) {
  checks::dropout(ctx, opts, state, x, y);
  // uniform >= p, as integers: uniform is (bits >> 8) / 2^24.
  const auto threshold = static_cast<std::int32_t>(std::ceil(opts.p * 16777216.0));
  const float scale = opts.p < 1.0 ? static_cast<float>(1.0 / (1.0 - opts.p)) : 0.0f;
  const auto step = static_cast<std::uint32_t>(state->step);
  const std::uint64_t seed = opts.seed;
  const std::uint32_t stream = opts.stream;
  visit_storage(x.dtype, [&]<class T>(T) {
    const T* const xs = x.as<T>();
    T* const ys = y.as<T>();
    parallel_for(ctx, x.numel(), 2048, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; i += kBatch) {
        IntVec bits[2];
        draw(seed, stream, step, i, bits);
        for (int half = 0; half < 2; ++half) {
          const std::int64_t at = i + half * kLanes;
          // The shift brings in copies of the sign, which the mask takes off.
          const IntVec uniform = (bits[half] >> 8) & 0xFFFFFF;
          const auto drop = [&](const Vec& v) { return uniform >= threshold ? v * scale : Vec{}; };
          if (at + kLanes <= end)
            store(ys + at, drop(load(xs + at)));
          else if (at < end)
            store_part(ys + at, drop(load_part(xs + at, end - at)), end - at);
        }
      }
    });
  });
}

}  // namespace lamina::cpu
