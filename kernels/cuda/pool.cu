// Pooling. Forward: a thread an output. Backward gathers, a thread an input, so that sums have one
// order and need no atomics. Contract: kernels/pool.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/pool.h"

#include "kernels/checks.h"
#include "kernels/cuda/language.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

struct Window {
  int h, w, c, p, q;  // x is [N,h,w,c], y [N,p,q,c]
  int r, s, stride_h, stride_w, pad_h, pad_w;
  bool count_include_pad;
};

Window window_of(const PoolOpts& o, const Shape& x, const Shape& y) {
  const auto i = [](std::int64_t value) { return static_cast<int>(value); };
  return {i(x.h),
          i(x.w),
          i(x.c),
          i(y.h),
          i(y.w),
          i(o.r),
          i(o.s),
          i(o.stride_h),
          i(o.stride_w),
          i(o.pad_h),
          i(o.pad_w),
          o.count_include_pad};
}

// A place in x or y.
struct Place {
  std::int64_t n;
  int row, column, c;
};

LAMINA_DEVICE Place place_of(std::int64_t i, int rows, int columns, int channels) {
  const int c = static_cast<int>(i % channels), column = static_cast<int>(i / channels % columns),
            row = static_cast<int>(i / channels / columns % rows);
  return {i / channels / columns / rows, row, column, c};
}

LAMINA_DEVICE int least(int a, int b) { return a < b ? a : b; }
LAMINA_DEVICE int most(int a, int b) { return a > b ? a : b; }

// The part [begin, end) inside the input of the window that starts at `start`.
struct Inside {
  int start, begin, end;
};
LAMINA_DEVICE Inside inside_of(int out, int stride, int pad, int window, int size) {
  const int start = out * stride - pad;
  return {start, most(start, 0), least(start + window, size)};
}

// The outputs [begin, end) whose window covers `in`.
LAMINA_DEVICE Inside covering(int in, int stride, int pad, int window, int out_size) {
  const int past = in + pad - window;  // windows that start at it or before have ended
  const int begin = past < 0 ? 0 : past / stride + 1;
  return {0, begin, least((in + pad) / stride + 1, out_size)};
}

template <class T>
LAMINA_KERNEL max_forward(const T* x, T* y, std::uint8_t* idx, std::int64_t count, Window z) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const Place at = place_of(i, z.p, z.q, z.c);
    const Inside rows = inside_of(at.row, z.stride_h, z.pad_h, z.r, z.h),
                 columns = inside_of(at.column, z.stride_w, z.pad_w, z.s, z.w);
    const T* const image = x + at.n * z.h * z.w * z.c + at.c;
    float best = 0.0f;
    int winner = -1;
    for (int h = rows.begin; h < rows.end; ++h)
      for (int w = columns.begin; w < columns.end; ++w) {
        const float value = cuda::as_f32(image[(static_cast<std::int64_t>(h) * z.w + w) * z.c]);
        // The first of equals wins, and so does the first NaN.
        if (winner < 0 || value > best || (value != value && best == best)) {
          best = value;
          winner = (h - rows.start) * z.s + (w - columns.start);
        }
      }
    y[i] = cuda::from_f32<T>(best);
    if (idx != nullptr) idx[i] = static_cast<std::uint8_t>(winner);
  }
}

template <class T>
LAMINA_KERNEL max_backward(
    const T* dy, const std::uint8_t* idx, T* dx, std::int64_t count, Window z) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const Place at = place_of(i, z.h, z.w, z.c);
    const Inside rows = covering(at.row, z.stride_h, z.pad_h, z.r, z.p),
                 columns = covering(at.column, z.stride_w, z.pad_w, z.s, z.q);
    float sum = 0.0f;
    for (int p = rows.begin; p < rows.end; ++p)
      for (int q = columns.begin; q < columns.end; ++q) {
        const std::int64_t out = ((at.n * z.p + p) * z.q + q) * z.c + at.c;
        const int offset =
            (at.row - p * z.stride_h + z.pad_h) * z.s + (at.column - q * z.stride_w + z.pad_w);
        if (idx[out] == offset) sum += cuda::as_f32(dy[out]);
      }
    dx[i] = cuda::from_f32<T>(sum);
  }
}

// How many elements the average at output (p, q) is over. A window may reach beyond the padding
// with ceil_mode; that part counts nowhere.
LAMINA_DEVICE float divisor(const Window& z, int p, int q) {
  const Inside rows = inside_of(p, z.stride_h, z.pad_h, z.r, z.h),
               columns = inside_of(q, z.stride_w, z.pad_w, z.s, z.w);
  const int height = z.count_include_pad ? least(rows.start + z.r, z.h + z.pad_h) - rows.start
                                         : rows.end - rows.begin;
  const int width = z.count_include_pad ? least(columns.start + z.s, z.w + z.pad_w) - columns.start
                                        : columns.end - columns.begin;
  return static_cast<float>(height * width);
}

template <class T>
LAMINA_KERNEL average_forward(const T* x, T* y, std::int64_t count, Window z) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const Place at = place_of(i, z.p, z.q, z.c);
    const Inside rows = inside_of(at.row, z.stride_h, z.pad_h, z.r, z.h),
                 columns = inside_of(at.column, z.stride_w, z.pad_w, z.s, z.w);
    const T* const image = x + at.n * z.h * z.w * z.c + at.c;
    float sum = 0.0f;
    for (int h = rows.begin; h < rows.end; ++h) {
      float row_sum = 0.0f;
      for (int w = columns.begin; w < columns.end; ++w)
        row_sum += cuda::as_f32(image[(static_cast<std::int64_t>(h) * z.w + w) * z.c]);
      sum += row_sum;
    }
    y[i] = cuda::from_f32<T>(sum / divisor(z, at.row, at.column));
  }
}

template <class T>
LAMINA_KERNEL average_backward(const T* dy, T* dx, std::int64_t count, Window z) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const Place at = place_of(i, z.h, z.w, z.c);
    const Inside rows = covering(at.row, z.stride_h, z.pad_h, z.r, z.p),
                 columns = covering(at.column, z.stride_w, z.pad_w, z.s, z.q);
    float sum = 0.0f;
    for (int p = rows.begin; p < rows.end; ++p)
      for (int q = columns.begin; q < columns.end; ++q)
        sum += cuda::as_f32(dy[((at.n * z.p + p) * z.q + q) * z.c + at.c]) / divisor(z, p, q);
    dx[i] = cuda::from_f32<T>(sum);
  }
}

}  // namespace

void cuda::max_pool_forward(
    Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y, const Tensor& idx) {
  checks::max_pool_forward(ctx, opts, x, y, idx);
  visit_compute(x.dtype, "max_pool_forward", [&]<class T>(T) {
    launch(ctx,
           "max_pool_forward",
           blocks_for(y.numel()),
           kBlock,
           max_forward<T>,
           x.as<T>(),
           y.as<T>(),
           idx ? idx.as<std::uint8_t>() : nullptr,
           y.numel(),
           window_of(opts, x.shape, y.shape));
  });
}

void cuda::max_pool_backward(
    Context& ctx, const PoolOpts& opts, const Tensor& dy, const Tensor& idx, const Tensor& dx) {
  checks::max_pool_backward(ctx, opts, dy, idx, dx);
  visit_compute(dx.dtype, "max_pool_backward", [&]<class T>(T) {
    launch(ctx,
           "max_pool_backward",
           blocks_for(dx.numel()),
           kBlock,
           max_backward<T>,
           dy.as<T>(),
           idx.as<std::uint8_t>(),
           dx.as<T>(),
           dx.numel(),
           window_of(opts, dx.shape, dy.shape));
  });
}

void cuda::avg_pool_forward(Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y) {
  checks::avg_pool_forward(ctx, opts, x, y);
  visit_compute(x.dtype, "avg_pool_forward", [&]<class T>(T) {
    launch(ctx,
           "avg_pool_forward",
           blocks_for(y.numel()),
           kBlock,
           average_forward<T>,
           x.as<T>(),
           y.as<T>(),
           y.numel(),
           window_of(opts, x.shape, y.shape));
  });
}

void cuda::avg_pool_backward(Context& ctx,
                             const PoolOpts& opts,
                             const Tensor& dy,
                             const Tensor& dx) {
  checks::avg_pool_backward(ctx, opts, dy, dx);
  visit_compute(dx.dtype, "avg_pool_backward", [&]<class T>(T) {
    launch(ctx,
           "avg_pool_backward",
           blocks_for(dx.numel()),
           kBlock,
           average_backward<T>,
           dy.as<T>(),
           dx.as<T>(),
           dx.numel(),
           window_of(opts, dx.shape, dy.shape));
  });
}

}  // namespace lamina
