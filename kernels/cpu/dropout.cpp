// SPDX-License-Identifier: Apache-2.0
#include "kernels/dropout.h"

#include <cmath>

#include "engine/core/parallel.h"
#include "engine/core/philox.h"
#include "kernels/checks.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {
namespace {

// Elements whose random bits are made together: sixteen Philox blocks of four.
constexpr std::int64_t kBatch = 4 * kLanes;

void draw(const DropoutOpts& opts, std::uint32_t step, std::int64_t first, std::uint32_t* bits) {
#pragma omp simd
  for (std::int64_t i = 0; i < kLanes; ++i) {
    const Philox4 words =
        philox(opts.seed, opts.stream, step, static_cast<std::uint64_t>(first / 4 + i));
    for (int word = 0; word < 4; ++word) bits[4 * i + word] = words.v[word];
  }
}

}  // namespace

void dropout(Context& ctx,
             const DropoutOpts& opts,
             const StepState* state,
             const Tensor& x,
             const Tensor& y) {
  checks::dropout(ctx, opts, state, x, y);
  // uniform >= p, as integers: uniform is (bits >> 8) / 2^24.
  const auto threshold = static_cast<std::uint32_t>(std::ceil(opts.p * 16777216.0));
  const float scale = opts.p < 1.0 ? static_cast<float>(1.0 / (1.0 - opts.p)) : 0.0f;
  const auto step = static_cast<std::uint32_t>(state->step);
  const float* const xs = x.as<float>();
  float* const ys = y.as<float>();
  parallel_for(ctx, x.numel(), 16 * kBatch, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; i += kBatch) {
      std::uint32_t bits[kBatch];
      draw(opts, step, i, bits);
      const std::int64_t count = std::min(kBatch, end - i);
      for (std::int64_t j = 0; j < count; ++j)
        ys[i + j] = (bits[j] >> 8) >= threshold ? xs[i + j] * scale : 0.0f;
    }
  });
}

}  // namespace lamina::cpu
