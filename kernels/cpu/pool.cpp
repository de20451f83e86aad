// Pooling: any window in pool.cpp's loops, a vector of channels at a time, and 2x2 with stride 2 in
// pool_2x2.h, which is what most networks ask for.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/pool.h"

#include <omp.h>

#include <algorithm>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/pool_2x2.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {
namespace {

// The part [begin, end) of the window of output `out` that lies inside the input.
struct Span {
  std::int64_t start, begin, end, padded;
};

Span span_of(std::int64_t out,
             std::int64_t stride,
             std::int64_t pad,
             std::int64_t window,
             std::int64_t size) {
  const std::int64_t start = out * stride - pad;
  // With ceil_mode a window may reach beyond the padding too; that part counts nowhere.
  return {start,
          std::max<std::int64_t>(start, 0),
          std::min(start + window, size),
          std::min(start + window, size + pad) - start};
}

float share_of(const PoolOpts& o, const Span& rows, const Span& columns) {
  const std::int64_t count = o.count_include_pad
                                 ? rows.padded * columns.padded
                                 : (rows.end - rows.begin) * (columns.end - columns.begin);
  return 1.0f / static_cast<float>(count);
}

// Rows of images a thread gets at least.
std::int64_t row_grain(const Shape& s) { return std::max<std::int64_t>(1, 8192 / (s.w * s.c)); }

// A vector's indices: one byte each in memory, as wide as floats where they are compared.
using Bytes = std::uint8_t __attribute__((vector_size(kLanes)));

LAMINA_INLINE IntVec load_indices(const std::uint8_t* p, std::int64_t count) {
  Bytes b{};
  std::memcpy(&b, p, static_cast<std::size_t>(count));
  return convert_lanes<IntVec, kLanes>(b);
}
LAMINA_INLINE void store_indices(std::uint8_t* p, const IntVec& v, std::int64_t count) {
  const Bytes b = __builtin_convertvector(v, Bytes);
  std::memcpy(p, &b, static_cast<std::size_t>(count));
}

// Calls body(first channel, how many) for the channels of a pixel, a vector at a time. Bodies hold
// all they need by value: they store through char, which may change any object in memory.
template <class Body>
LAMINA_INLINE void for_each_lanes(std::int64_t channels, const Body body) {
  std::int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) body(c, kLanes);
  if (c < channels) body(c, channels - c);
}

// Calls body(image, rows of the window, columns, pixel of the output) for every window.
template <class Body>
void for_each_window(
    const Context& ctx, const PoolOpts& o, const Shape& x, const Shape& y, const Body& body) {
  parallel_for(ctx, y.n * y.h, row_grain(y), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t n = row / y.h;
      const Span rows = span_of(row % y.h, o.stride_h, o.pad_h, o.r, x.h);
      for (std::int64_t q = 0; q < y.w; ++q)
        body(n, rows, span_of(q, o.stride_w, o.pad_w, o.s, x.w), row * y.w + q);
    }
  });
}

// The outputs whose windows may cover input `in`: a range [first, last].
struct Covers {
  std::int64_t first, last;
};
Covers covering(std::int64_t in,
                std::int64_t stride,
                std::int64_t pad,
                std::int64_t window,
                std::int64_t outputs) {
  const std::int64_t behind = in + pad - window;  // the last start that does not reach `in`
  return {behind < 0 ? 0 : behind / stride + 1, std::min((in + pad) / stride, outputs - 1)};
}

// Gathers the gradient of every input pixel from the windows that cover it, in a fixed order:
// body(gradient of the pixel, pixel of the output, offset r*s in its window, its rows and columns).
// In bf16 it is added up in a row of the thread's, [threads][x.c] of `sums`.
template <class T, class Body>
void for_each_pixel(const Context& ctx,
                    const PoolOpts& o,
                    const Shape& x,
                    const Shape& y,
                    T* dx,
                    float* sums,
                    const Body& body) {
  parallel_for(ctx, x.n * x.h, row_grain(x), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t n = row / x.h, h = row % x.h;
      const Covers ps = covering(h, o.stride_h, o.pad_h, o.r, y.h);
      for (std::int64_t w = 0; w < x.w; ++w) {
        T* const pixel = dx + (row * x.w + w) * x.c;
        float* sum = sums + omp_get_thread_num() * x.c;
        if constexpr (std::is_same_v<T, float>) sum = pixel;
        std::fill(sum, sum + x.c, 0.0f);
        const Covers qs = covering(w, o.stride_w, o.pad_w, o.s, y.w);
        for (std::int64_t p = ps.first; p <= ps.last; ++p)
          for (std::int64_t q = qs.first; q <= qs.last; ++q) {
            const Span rows = span_of(p, o.stride_h, o.pad_h, o.r, x.h);
            const Span columns = span_of(q, o.stride_w, o.pad_w, o.s, x.w);
            body(sum,
                 (n * y.h + p) * y.w + q,
                 (h - rows.start) * o.s + (w - columns.start),
                 rows,
                 columns);
          }
        if constexpr (!std::is_same_v<T, float>)
          map_range(
              0, x.c, [](const Vec& v) { return v; }, pixel, sum);
      }
    }
  });
}

// For for_each_pixel().
float* pixel_sums(Context& ctx, const Tensor& dx) {
  if (dx.dtype == DType::f32) return nullptr;
  return device_of(ctx).scratch<float>(static_cast<std::size_t>(ctx.threads() * dx.shape.c));
}

}  // namespace

void max_pool_forward(
    Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y, const Tensor& idx) {
  checks::max_pool_forward(ctx, opts, x, y, idx);
  std::uint8_t* const winners = idx ? idx.as<std::uint8_t>() : nullptr;
  const Shape in = x.shape;
  const std::int64_t across = opts.s, y_row = y.row();
  visit_storage(x.dtype, [&]<class T>(T) {
    const T* const xs = x.as<T>();
    T* const ys = y.as<T>();
    if (is_pool_2x2(opts, in, y)) {
      max_pool_2x2_forward(ctx, in, y.shape, xs, ys, winners);
      return;
    }
    for_each_window(
        ctx,
        opts,
        in,
        y.shape,
        [=](std::int64_t n, const Span& rows, const Span& columns, std::int64_t out) {
          const T* const image = xs + n * in.h * in.w * in.c;
          for_each_lanes(in.c, [=](std::int64_t c, std::int64_t count) {
            const auto pixel = [=](std::int64_t h, std::int64_t w) {
              return load_some(image + (h * in.w + w) * in.c + c, count);
            };
            const auto offset = [=](std::int64_t h, std::int64_t w) {
              return static_cast<std::int32_t>((h - rows.start) * across + (w - columns.start));
            };
            Vec best = pixel(rows.begin, columns.begin);
            IntVec place = IntVec{} + offset(rows.begin, columns.begin);
            for (std::int64_t h = rows.begin; h < rows.end; ++h)
              for (std::int64_t w = columns.begin; w < columns.end; ++w) {
                const Vec value = pixel(h, w);
                // NaN beats every number and is beaten by nothing.
                const IntVec wins = ~(best >= value) & (best == best);
                best = wins ? value : best;
                place = wins ? IntVec{} + offset(h, w) : place;
              }
            store_some(ys + out * y_row + c, best, count);
            if (winners != nullptr) store_indices(winners + out * in.c + c, place, count);
          });
        });
  });
}

void max_pool_backward(
    Context& ctx, const PoolOpts& opts, const Tensor& dy, const Tensor& idx, const Tensor& dx) {
  checks::max_pool_backward(ctx, opts, dy, idx, dx);
  const std::uint8_t* const winners = idx.as<std::uint8_t>();
  const Shape& in = dx.shape;
  const std::int64_t channels = in.c, dy_row = dy.row();
  visit_storage(dx.dtype, [&]<class T>(T) {
    const T* const dys = dy.as<T>();
    if (is_pool_2x2(opts, in, dy)) {
      max_pool_2x2_backward(ctx, in, dy.shape, dys, winners, dx.as<T>());
      return;
    }
    for_each_pixel(
        ctx,
        opts,
        in,
        dy.shape,
        dx.as<T>(),
        pixel_sums(ctx, dx),
        [=](float* pixel, std::int64_t out, std::int64_t offset, const Span&, const Span&) {
          const IntVec place = IntVec{} + static_cast<std::int32_t>(offset);
          for_each_lanes(channels, [=](std::int64_t c, std::int64_t count) {
            const Vec gradient = load_some(dys + out * dy_row + c, count);
            const IntVec won = load_indices(winners + out * channels + c, count) == place;
            const Vec sum = load_some(pixel + c, count) + (won ? gradient : Vec{});
            store_some(pixel + c, sum, count);
          });
        });
  });
}

void avg_pool_forward(Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y) {
  checks::avg_pool_forward(ctx, opts, x, y);
  const Shape size = x.shape;
  const std::int64_t y_row = y.row();
  visit_storage(x.dtype, [&]<class T>(T) {
    const T* const xs = x.as<T>();
    T* const ys = y.as<T>();
    if (is_pool_2x2(opts, size, y)) {
      avg_pool_2x2_forward(ctx, size, y.shape, xs, ys);
      return;
    }
    for_each_window(ctx,
                    opts,
                    size,
                    y.shape,
                    [=](std::int64_t n, const Span& rows, const Span& columns, std::int64_t out) {
                      const T* const image = xs + n * size.h * size.w * size.c;
                      const float share = share_of(opts, rows, columns);
                      for_each_lanes(size.c, [=](std::int64_t c, std::int64_t count) {
                        Vec sum{};
                        for (std::int64_t h = rows.begin; h < rows.end; ++h)
                          for (std::int64_t w = columns.begin; w < columns.end; ++w)
                            sum += load_some(image + (h * size.w + w) * size.c + c, count);
                        store_some(ys + out * y_row + c, sum * share, count);
                      });
                    });
  });
}

void avg_pool_backward(Context& ctx, const PoolOpts& opts, const Tensor& dy, const Tensor& dx) {
  checks::avg_pool_backward(ctx, opts, dy, dx);
  const Shape& in = dx.shape;
  const std::int64_t channels = in.c, dy_row = dy.row();
  visit_storage(dx.dtype, [&]<class T>(T) {
    const T* const dys = dy.as<T>();
    if (is_pool_2x2(opts, in, dy)) {
      avg_pool_2x2_backward(ctx, in, dy.shape, dys, dx.as<T>());
      return;
    }
    for_each_pixel(
        ctx,
        opts,
        in,
        dy.shape,
        dx.as<T>(),
        pixel_sums(ctx, dx),
        [=](float* pixel, std::int64_t out, std::int64_t, const Span& rows, const Span& columns) {
          const float share = share_of(opts, rows, columns);
          for_each_lanes(channels, [=](std::int64_t c, std::int64_t count) {
            const Vec sum =
                load_some(pixel + c, count) + load_some(dys + out * dy_row + c, count) * share;
            store_some(pixel + c, sum, count);
          });
        });
  });
}

}  // namespace lamina::cpu
