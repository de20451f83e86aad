// Local response normalisation. Forward: a thread an element, its window out of the cache.
// Backward: a block takes kBlock elements in a row of memory and makes what each passes on through
// its scale once, in shared memory; then all but those at the ends, whose windows reach into the
// next block, add up the windows that they are in. Contract: kernels/lrn.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/lrn.h"

#include <cmath>

#include "kernels/checks.h"
#include "kernels/cuda/language.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

struct Numbers {
  int channels;
  int before, after;  // the window: channels c - before to c + after
  float share, k, beta;
  bool three_quarters;  // beta, for which two square roots are shorter and closer than a power

  // scale^-beta, from 1/scale.
  LAMINA_DEVICE float power(float inverse) const {
    if (!three_quarters) return powf(inverse, beta);
    const float root = sqrtf(inverse);
    return root * sqrtf(root);
  }
};

LAMINA_DEVICE int least(int a, int b) { return a < b ? a : b; }
LAMINA_DEVICE int most(int a, int b) { return a > b ? a : b; }

// 1/scale of the element at x, which is in channel c.
template <class T>
LAMINA_DEVICE float inverse_scale(const Numbers& z, const T* x, int c) {
  float sum = 0.0f;
  for (int d = most(-z.before, -c); d <= least(z.after, z.channels - 1 - c); ++d) {
    const float value = cuda::as_f32(x[d]);
    sum += value * value;
  }
  return 1.0f / (sum * z.share + z.k);
}

template <class T>
LAMINA_KERNEL normalise(const T* x, T* y, std::int64_t count, Numbers z) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const float inverse = inverse_scale(z, x + i, static_cast<int>(i % z.channels));
    y[i] = cuda::from_f32<T>(cuda::as_f32(x[i]) * z.power(inverse));
  }
}

template <class T>
LAMINA_KERNEL differentiate(const T* x, const T* dy, T* dx, std::int64_t count, Numbers z) {
  LAMINA_SHARED(float, passed, [cuda::kBlock]);
  const int thread = static_cast<int>(threadIdx.x);
  const int inner = cuda::kBlock - z.before - z.after;  // elements that a block finishes
  const float slope = 2.0f * z.beta * z.share;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * inner;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * inner; first < count;
       first += step) {
    // The windows that an element is in lie the other way round: before and after change places.
    const std::int64_t i = first + thread - z.after;
    const bool inside = i >= 0 && i < count;
    const int c = inside ? static_cast<int>(i % z.channels) : 0;
    float value = 0.0f, direct = 0.0f, through = 0.0f;
    if (inside) {
      const float inverse = inverse_scale(z, x + i, c);
      value = cuda::as_f32(x[i]);
      direct = cuda::as_f32(dy[i]) * z.power(inverse);
      through = direct * value * inverse;
    }
    passed[thread] = through;
    cuda::barrier();
    if (inside && thread >= z.after && thread < z.after + inner) {
      float sum = 0.0f;
      for (int d = most(-z.after, -c); d <= least(z.before, z.channels - 1 - c); ++d)
        sum += passed[thread + d];
      dx[i] = cuda::from_f32<T>(direct - slope * value * sum);
    }
    cuda::barrier();
  }
}

Numbers numbers_of(const LrnOpts& o, const Shape& x) {
  return {static_cast<int>(x.c),
          static_cast<int>(o.size / 2),
          static_cast<int>((o.size - 1) / 2),
          static_cast<float>(o.alpha / static_cast<double>(o.size)),
          static_cast<float>(o.k),
          static_cast<float>(o.beta),
          o.beta == 0.75};
}

}  // namespace

void cuda::lrn_forward(Context& ctx, const LrnOpts& opts, const Tensor& x, const Tensor& y) {
  checks::lrn_forward(ctx, opts, x, y);
  visit_compute(x.dtype, "lrn_forward", [&]<class T>(T) {
    launch(ctx,
           "lrn_forward",
           blocks_for(y.numel()),
           kBlock,
           normalise<T>,
           static_cast<const T*>(x.as<T>()),
           y.as<T>(),
           y.numel(),
           numbers_of(opts, x.shape));
  });
}

void cuda::lrn_backward(
    Context& ctx, const LrnOpts& opts, const Tensor& x, const Tensor& dy, const Tensor& dx) {
  checks::lrn_backward(ctx, opts, x, dy, dx);
  visit_compute(x.dtype, "lrn_backward", [&]<class T>(T) {
    launch(ctx,
           "lrn_backward",
           blocks_for(dx.numel()),
           kBlock,
           differentiate<T>,
           static_cast<const T*>(x.as<T>()),
           static_cast<const T*>(dy.as<T>()),
           dx.as<T>(),
           dx.numel(),
           numbers_of(opts, x.shape));
  });
}

}  // namespace lamina
