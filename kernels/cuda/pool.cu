// Pooling. A thread keeps its channels and takes one pixel after another: of y forwards, of x
// backwards, where it gathers, so that sums have one order and need no atomics.
// Contract: kernels/pool.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/pool.h"

#include "kernels/checks.h"
#include "kernels/cuda/channel_rows.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

struct Window {
  int h, w, p, q;  // x is [N,h,w,C], y [N,p,q,C]
  int r, s, stride_h, stride_w, pad_h, pad_w;
  bool count_include_pad;
};

Window window_of(const PoolOpts& o, const Shape& x, const Shape& y) {
  const auto i = [](std::int64_t value) { return static_cast<int>(value); };
  return {i(x.h),
          i(x.w),
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

// A pixel of x or y.
struct Pixel {
  int n, row, column;
};

// Indices of pixels fit 32 bits, whose division is an instruction or two.
LAMINA_DEVICE Pixel pixel_at(std::int64_t i, int rows, int columns) {
  const auto pixel = static_cast<unsigned>(i);
  const unsigned line = pixel / static_cast<unsigned>(columns);
  const unsigned n = line / static_cast<unsigned>(rows);
  return {static_cast<int>(n),
          static_cast<int>(line - n * static_cast<unsigned>(rows)),
          static_cast<int>(pixel - line * static_cast<unsigned>(columns))};
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
  const auto reach = static_cast<unsigned>(in + pad), size = static_cast<unsigned>(window);
  // Windows that start at reach - size or before have ended.
  const unsigned begin = reach < size ? 0 : (reach - size) / static_cast<unsigned>(stride) + 1;
  const int end = static_cast<int>(reach / static_cast<unsigned>(stride)) + 1;
  return {0, static_cast<int>(begin), least(end, out_size)};
}

template <int width, class T>
LAMINA_KERNEL max_forward(cuda::RowSize size,
                          cuda::Rows<const T> x,
                          cuda::Rows<T> y,
                          cuda::Rows<std::uint8_t> idx,
                          Window z) {
  const cuda::RowWalk walk = cuda::row_walk<width>(size);
  for (std::int64_t out = walk.row; out < walk.end; out += walk.step) {
    const Pixel at = pixel_at(out, z.p, z.q);
    const Inside rows = inside_of(at.row, z.stride_h, z.pad_h, z.r, z.h),
                 columns = inside_of(at.column, z.stride_w, z.pad_w, z.s, z.w);
    cuda::Pack<T, width> best{};
    cuda::Pack<std::uint8_t, width> winner{};
    bool first = true;
    for (int h = rows.begin; h < rows.end; ++h)
      for (int w = columns.begin; w < columns.end; ++w) {
        const auto pack = x.template load<width>((at.n * z.h + h) * z.w + w, walk.channel);
        const int offset = (h - rows.start) * z.s + (w - columns.start);
        for (int j = 0; j < width; ++j) {
          const float value = cuda::as_f32(pack.v[j]), most = cuda::as_f32(best.v[j]);
          // The first of equals wins, and so does the first NaN.
          if (!first && !(value > most) && !(value != value && most == most)) continue;
          best.v[j] = pack.v[j];
          winner.v[j] = static_cast<std::uint8_t>(offset);
        }
        first = false;
      }
    y.template store<width>(out, walk.channel, best);
    if (idx.data != nullptr) idx.template store<width>(out, walk.channel, winner);
  }
}

template <int width, class T>
LAMINA_KERNEL max_backward(cuda::RowSize size,
                           cuda::Rows<const T> dy,
                           cuda::Rows<const std::uint8_t> idx,
                           cuda::Rows<T> dx,
                           Window z) {
  const cuda::RowWalk walk = cuda::row_walk<width>(size);
  for (std::int64_t in = walk.row; in < walk.end; in += walk.step) {
    const Pixel at = pixel_at(in, z.h, z.w);
    const Inside rows = covering(at.row, z.stride_h, z.pad_h, z.r, z.p),
                 columns = covering(at.column, z.stride_w, z.pad_w, z.s, z.q);
    float sum[width] = {};
    for (int p = rows.begin; p < rows.end; ++p) {
      const int line = (at.n * z.p + p) * z.q;
      int offset = (at.row - p * z.stride_h + z.pad_h) * z.s + at.column + z.pad_w -
                   columns.begin * z.stride_w;
      LAMINA_ROLLED for (int q = columns.begin; q < columns.end; ++q, offset -= z.stride_w) {
        const auto gradient = dy.template load<width>(line + q, walk.channel);
        const auto winner = idx.template load<width>(line + q, walk.channel);
        for (int j = 0; j < width; ++j)
          if (winner.v[j] == offset) sum[j] += cuda::as_f32(gradient.v[j]);
      }
    }
    cuda::Pack<T, width> pack;
    for (int j = 0; j < width; ++j) pack.v[j] = cuda::from_f32<T>(sum[j]);
    dx.template store<width>(in, walk.channel, pack);
  }
}

// How many elements the average at output (p, q) is over: along one dimension. A window may reach
// beyond the padding with ceil_mode; that part counts nowhere.
LAMINA_DEVICE int counted(const Inside& inside, int window, int pad, int size, bool with_pad) {
  return with_pad ? least(inside.start + window, size + pad) - inside.start
                  : inside.end - inside.begin;
}
LAMINA_DEVICE int counted_rows(const Window& z, int p) {
  const Inside rows = inside_of(p, z.stride_h, z.pad_h, z.r, z.h);
  return counted(rows, z.r, z.pad_h, z.h, z.count_include_pad);
}
LAMINA_DEVICE int counted_columns(const Window& z, int q) {
  const Inside columns = inside_of(q, z.stride_w, z.pad_w, z.s, z.w);
  return counted(columns, z.s, z.pad_w, z.w, z.count_include_pad);
}

template <int width, class T>
LAMINA_KERNEL average_forward(cuda::RowSize size,
                              cuda::Rows<const T> x,
                              cuda::Rows<T> y,
                              Window z) {
  const cuda::RowWalk walk = cuda::row_walk<width>(size);
  for (std::int64_t out = walk.row; out < walk.end; out += walk.step) {
    const Pixel at = pixel_at(out, z.p, z.q);
    const Inside rows = inside_of(at.row, z.stride_h, z.pad_h, z.r, z.h),
                 columns = inside_of(at.column, z.stride_w, z.pad_w, z.s, z.w);
    float sum[width] = {};
    for (int h = rows.begin; h < rows.end; ++h) {
      float row_sum[width] = {};
      for (int w = columns.begin; w < columns.end; ++w) {
        const auto pack = x.template load<width>((at.n * z.h + h) * z.w + w, walk.channel);
        for (int j = 0; j < width; ++j) row_sum[j] += cuda::as_f32(pack.v[j]);
      }
      for (int j = 0; j < width; ++j) sum[j] += row_sum[j];
    }
    const auto count = static_cast<float>(counted_rows(z, at.row) * counted_columns(z, at.column));
    cuda::Pack<T, width> pack;
    for (int j = 0; j < width; ++j) pack.v[j] = cuda::from_f32<T>(sum[j] / count);
    y.template store<width>(out, walk.channel, pack);
  }
}

template <int width, class T>
LAMINA_KERNEL average_backward(cuda::RowSize size,
                               cuda::Rows<const T> dy,
                               cuda::Rows<T> dx,
                               Window z) {
  const cuda::RowWalk walk = cuda::row_walk<width>(size);
  for (std::int64_t in = walk.row; in < walk.end; in += walk.step) {
    const Pixel at = pixel_at(in, z.h, z.w);
    const Inside rows = covering(at.row, z.stride_h, z.pad_h, z.r, z.p),
                 columns = covering(at.column, z.stride_w, z.pad_w, z.s, z.q);
    float sum[width] = {};
    for (int p = rows.begin; p < rows.end; ++p) {
      const int line = (at.n * z.p + p) * z.q, height = counted_rows(z, p);
      LAMINA_ROLLED for (int q = columns.begin; q < columns.end; ++q) {
        const auto pack = dy.template load<width>(line + q, walk.channel);
        const auto count = static_cast<float>(height * counted_columns(z, q));
        for (int j = 0; j < width; ++j) sum[j] += cuda::as_f32(pack.v[j]) / count;
      }
    }
    cuda::Pack<T, width> pack;
    for (int j = 0; j < width; ++j) pack.v[j] = cuda::from_f32<T>(sum[j]);
    dx.template store<width>(in, walk.channel, pack);
  }
}

}  // namespace

void cuda::max_pool_forward(
    Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y, const Tensor& idx) {
  checks::max_pool_forward(ctx, opts, x, y, idx);
  visit_compute(x.dtype, "max_pool_forward", [&]<class T>(T) {
    launch_rows<T>(
        ctx,
        "max_pool_forward",
        y.rows(),
        y.shape.c,
        {x, y, idx},
        []<int width>(Width<width>) { return max_forward<width, T>; },
        rows_of<const T>(x),
        rows_of<T>(y),
        rows_of<std::uint8_t>(idx),
        window_of(opts, x.shape, y.shape));
  });
}

void cuda::max_pool_backward(
    Context& ctx, const PoolOpts& opts, const Tensor& dy, const Tensor& idx, const Tensor& dx) {
  checks::max_pool_backward(ctx, opts, dy, idx, dx);
  visit_compute(dx.dtype, "max_pool_backward", [&]<class T>(T) {
    launch_rows<T>(
        ctx,
        "max_pool_backward",
        dx.rows(),
        dx.shape.c,
        {dy, idx, dx},
        []<int width>(Width<width>) { return max_backward<width, T>; },
        rows_of<const T>(dy),
        rows_of<const std::uint8_t>(idx),
        rows_of<T>(dx),
        window_of(opts, dx.shape, dy.shape));
  });
}

void cuda::avg_pool_forward(Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y) {
  checks::avg_pool_forward(ctx, opts, x, y);
  visit_compute(x.dtype, "avg_pool_forward", [&]<class T>(T) {
    launch_rows<T>(
        ctx,
        "avg_pool_forward",
        y.rows(),
        y.shape.c,
        {x, y},
        []<int width>(Width<width>) { return average_forward<width, T>; },
        rows_of<const T>(x),
        rows_of<T>(y),
        window_of(opts, x.shape, y.shape));
  });
}

void cuda::avg_pool_backward(Context& ctx,
                             const PoolOpts& opts,
                             const Tensor& dy,
                             const Tensor& dx) {
  checks::avg_pool_backward(ctx, opts, dy, dx);
  visit_compute(dx.dtype, "avg_pool_backward", [&]<class T>(T) {
    launch_rows<T>(
        ctx,
        "avg_pool_backward",
        dx.rows(),
        dx.shape.c,
        {dy, dx},
        []<int width>(Width<width>) { return average_backward<width, T>; },
        rows_of<const T>(dy),
        rows_of<T>(dx),
        window_of(opts, dx.shape, dy.shape));
  });
}

}  // namespace lamina
