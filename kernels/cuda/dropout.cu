// Dropout. A thread draws one Philox block: four elements. Contract: kernels/dropout.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/dropout.h"

#include <cmath>

#include "engine/core/philox.h"
#include "kernels/checks.h"
#include "kernels/cuda/pointwise.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

struct Draw {
  std::uint64_t seed;
  std::uint32_t stream, threshold;  // kept from this on, of 2^24
  float scale;
};

template <class T>
LAMINA_KERNEL drop(const T* x, T* y, std::int64_t count, Draw draw, const StepState* state) {
  const auto step = static_cast<std::uint32_t>(state->step);
  for (std::int64_t block = cuda::first_thread(); 4 * block < count; block += cuda::all_threads()) {
    const Philox4 bits = philox(draw.seed, draw.stream, step, static_cast<std::uint64_t>(block));
    for (int j = 0; j < 4; ++j) {
      const std::int64_t i = 4 * block + j;
      if (i >= count) break;
      const bool keep = bits.v[j] >> 8 >= draw.threshold;
      y[i] = cuda::from_f32<T>(keep ? cuda::as_f32(x[i]) * draw.scale : 0.0f);
    }
  }
}

}  // namespace

void cuda::dropout(Context& ctx,
                   const DropoutOpts& opts,
                   const StepState* state,
                   const Tensor& x,
                   const Tensor& y) {
  checks::dropout(ctx, opts, state, x, y);
  // uniform >= p, as integers: uniform is (bits >> 8) / 2^24.
  const Draw draw{opts.seed,
                  opts.stream,
                  static_cast<std::uint32_t>(std::ceil(opts.p * 16777216.0)),
                  opts.p < 1.0 ? static_cast<float>(1.0 / (1.0 - opts.p)) : 0.0f};
  visit_compute(x.dtype, "dropout", [&]<class T>(T) {
    launch(ctx,
           "dropout",
           blocks_for(x.numel(), 4),
           kBlock,
           drop<T>,
           x.as<T>(),
           y.as<T>(),
           x.numel(),
           draw,
           state);
  });
}

}  // namespace lamina
