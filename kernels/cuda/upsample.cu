// Bilinear resize. Forward: a thread an output element. Backward gathers, a thread an input
// element, so that sums have one order and need no atomics. Contract: kernels/upsample.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/upsample.h"

#include "kernels/checks.h"
#include "kernels/cuda/bilinear.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

struct Sizes {
  int h, w, p, q, c;
};

template <class T>
LAMINA_KERNEL resize(const T* x, T* y, std::int64_t count, Sizes z) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const int c = static_cast<int>(i % z.c), q = static_cast<int>(i / z.c % z.q),
              p = static_cast<int>(i / z.c / z.q % z.p);
    const std::int64_t n = i / z.c / z.q / z.p;
    const cuda::Taps rows = cuda::taps_of(p, z.h, z.p), columns = cuda::taps_of(q, z.w, z.q);
    const T* const image = x + n * z.h * z.w * z.c + c;
    float sum = 0.0f;
    for (int a = 0; a < 2; ++a) {
      const T* const row = image + static_cast<std::int64_t>(rows.index[a]) * z.w * z.c;
      const float left = cuda::as_f32(row[columns.index[0] * z.c]),
                  right = cuda::as_f32(row[columns.index[1] * z.c]);
      sum += rows.weight[a] * (columns.weight[0] * left + columns.weight[1] * right);
    }
    y[i] = cuda::from_f32<T>(sum);
  }
}

// The weight with which output `out` looks at input `in`, along one direction.
LAMINA_DEVICE float weight_of(int out, int in, int in_size, int out_size) {
  const cuda::Taps taps = cuda::taps_of(out, in_size, out_size);
  return (taps.index[0] == in ? taps.weight[0] : 0.0f) +
         (taps.index[1] == in ? taps.weight[1] : 0.0f);
}

template <class T>
LAMINA_KERNEL resize_transposed(const T* dy, T* dx, std::int64_t count, Sizes z) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const int c = static_cast<int>(i % z.c), w = static_cast<int>(i / z.c % z.w),
              h = static_cast<int>(i / z.c / z.w % z.h);
    const std::int64_t n = i / z.c / z.w / z.h;
    const cuda::Readers rows = cuda::readers_of(h, z.h, z.p),
                        columns = cuda::readers_of(w, z.w, z.q);
    const T* const image = dy + n * z.p * z.q * z.c + c;
    float sum = 0.0f;
    for (int p = rows.begin; p < rows.end; ++p) {
      const float row_weight = weight_of(p, h, z.h, z.p);
      if (row_weight == 0.0f) continue;
      float row_sum = 0.0f;
      for (int q = columns.begin; q < columns.end; ++q) {
        const float weight = weight_of(q, w, z.w, z.q);
        if (weight != 0.0f)
          row_sum += weight * cuda::as_f32(image[(static_cast<std::int64_t>(p) * z.q + q) * z.c]);
      }
      sum += row_weight * row_sum;
    }
    dx[i] = cuda::from_f32<T>(sum);
  }
}

Sizes sizes_of(const Shape& x, const Shape& y) {
  return {static_cast<int>(x.h),
          static_cast<int>(x.w),
          static_cast<int>(y.h),
          static_cast<int>(y.w),
          static_cast<int>(x.c)};
}

}  // namespace

void cuda::upsample_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::upsample_forward(ctx, x, y);
  visit_compute(x.dtype, "upsample_forward", [&]<class T>(T) {
    launch(ctx,
           "upsample_forward",
           blocks_for(y.numel()),
           kBlock,
           resize<T>,
           static_cast<const T*>(x.as<T>()),
           y.as<T>(),
           y.numel(),
           sizes_of(x.shape, y.shape));
  });
}

void cuda::upsample_backward(Context& ctx, const Tensor& dy, const Tensor& dx) {
  checks::upsample_backward(ctx, dy, dx);
  visit_compute(dx.dtype, "upsample_backward", [&]<class T>(T) {
    launch(ctx,
           "upsample_backward",
           blocks_for(dx.numel()),
           kBlock,
           resize_transposed<T>,
           static_cast<const T*>(dy.as<T>()),
           dx.as<T>(),
           dx.numel(),
           sizes_of(dx.shape, dy.shape));
  });
}

}  // namespace lamina
