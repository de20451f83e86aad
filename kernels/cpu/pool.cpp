// Pooling: any window in pool.cpp's loops along the channels, and 2x2 with stride 2 in
// pool_2x2.h, which is what most networks ask for.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/pool.h"

#include <algorithm>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/pool_2x2.h"

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

// Calls body(p, rows of the window, q, columns, first channel of the output) for every window.
template <class Body>
void for_each_window(
    const Context& ctx, const PoolOpts& o, const Shape& x, const Shape& y, const Body& body) {
  parallel_for(ctx, y.n * y.h, row_grain(y), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t n = row / y.h;
      const Span rows = span_of(row % y.h, o.stride_h, o.pad_h, o.r, x.h);
      for (std::int64_t q = 0; q < y.w; ++q)
        body(n, rows, span_of(q, o.stride_w, o.pad_w, o.s, x.w), (row * y.w + q) * y.c);
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
// body(gradient of the pixel, first channel of the output, offset r*s in its window, share).
template <class Body>
void for_each_pixel(const Context& ctx,
                    const PoolOpts& o,
                    const Shape& x,
                    const Shape& y,
                    float* dx,
                    const Body& body) {
  parallel_for(ctx, x.n * x.h, row_grain(x), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t n = row / x.h, h = row % x.h;
      const Covers ps = covering(h, o.stride_h, o.pad_h, o.r, y.h);
      for (std::int64_t w = 0; w < x.w; ++w) {
        float* const pixel = dx + (row * x.w + w) * x.c;
        std::fill(pixel, pixel + x.c, 0.0f);
        const Covers qs = covering(w, o.stride_w, o.pad_w, o.s, y.w);
        for (std::int64_t p = ps.first; p <= ps.last; ++p)
          for (std::int64_t q = qs.first; q <= qs.last; ++q) {
            const Span rows = span_of(p, o.stride_h, o.pad_h, o.r, x.h);
            const Span columns = span_of(q, o.stride_w, o.pad_w, o.s, x.w);
            body(pixel,
                 ((n * y.h + p) * y.w + q) * y.c,
                 (h - rows.start) * o.s + (w - columns.start),
                 rows,
                 columns);
          }
      }
    }
  });
}

}  // namespace

void max_pool_forward(
    Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y, const Tensor& idx) {
  checks::max_pool_forward(ctx, opts, x, y, idx);
  const float* const xs = x.as<float>();
  float* const ys = y.as<float>();
  std::uint8_t* const winners = idx ? idx.as<std::uint8_t>() : nullptr;
  if (is_pool_2x2(opts, x.shape, y.shape)) {
    max_pool_2x2_forward(ctx, x.shape, y.shape, xs, ys, winners);
    return;
  }
  const Shape& in = x.shape;
  for_each_window(
      ctx,
      opts,
      in,
      y.shape,
      [&](std::int64_t n, const Span& rows, const Span& columns, std::int64_t at) {
        float* const best = ys + at;
        const auto pixel = [&](std::int64_t h, std::int64_t w) {
          return xs + ((n * in.h + h) * in.w + w) * in.c;
        };
        const auto offset = [&](std::int64_t h, std::int64_t w) {
          return static_cast<std::uint8_t>((h - rows.start) * opts.s + (w - columns.start));
        };
        std::copy_n(pixel(rows.begin, columns.begin), in.c, best);
        if (winners != nullptr) std::fill_n(winners + at, in.c, offset(rows.begin, columns.begin));
        for (std::int64_t h = rows.begin; h < rows.end; ++h)
          for (std::int64_t w = columns.begin; w < columns.end; ++w) {
            const float* const value = pixel(h, w);
            const std::uint8_t place = offset(h, w);
            for (std::int64_t c = 0; c < in.c; ++c) {
              // NaN beats every number and is beaten by nothing.
              const bool wins = !(best[c] >= value[c]) && best[c] == best[c];
              best[c] = wins ? value[c] : best[c];
              if (winners != nullptr) winners[at + c] = wins ? place : winners[at + c];
            }
          }
      });
}

void max_pool_backward(
    Context& ctx, const PoolOpts& opts, const Tensor& dy, const Tensor& idx, const Tensor& dx) {
  checks::max_pool_backward(ctx, opts, dy, idx, dx);
  const float* const dys = dy.as<float>();
  const std::uint8_t* const winners = idx.as<std::uint8_t>();
  const Shape& in = dx.shape;
  if (is_pool_2x2(opts, in, dy.shape)) {
    max_pool_2x2_backward(ctx, in, dy.shape, dys, winners, dx.as<float>());
    return;
  }
  for_each_pixel(ctx,
                 opts,
                 in,
                 dy.shape,
                 dx.as<float>(),
                 [&](float* pixel, std::int64_t at, std::int64_t offset, const Span&, const Span&) {
                   const auto place = static_cast<std::uint8_t>(offset);
                   for (std::int64_t c = 0; c < in.c; ++c)
                     pixel[c] += winners[at + c] == place ? dys[at + c] : 0.0f;
                 });
}

void avg_pool_forward(Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y) {
  checks::avg_pool_forward(ctx, opts, x, y);
  const float* const xs = x.as<float>();
  const Shape& in = x.shape;
  if (is_pool_2x2(opts, in, y.shape)) {
    avg_pool_2x2_forward(ctx, in, y.shape, xs, y.as<float>());
    return;
  }
  for_each_window(ctx,
                  opts,
                  in,
                  y.shape,
                  [&](std::int64_t n, const Span& rows, const Span& columns, std::int64_t at) {
                    float* const sum = y.as<float>() + at;
                    std::fill_n(sum, in.c, 0.0f);
                    for (std::int64_t h = rows.begin; h < rows.end; ++h)
                      for (std::int64_t w = columns.begin; w < columns.end; ++w) {
                        const float* const value = xs + ((n * in.h + h) * in.w + w) * in.c;
                        for (std::int64_t c = 0; c < in.c; ++c) sum[c] += value[c];
                      }
                    const float share = share_of(opts, rows, columns);
                    for (std::int64_t c = 0; c < in.c; ++c) sum[c] *= share;
                  });
}

void avg_pool_backward(Context& ctx, const PoolOpts& opts, const Tensor& dy, const Tensor& dx) {
  checks::avg_pool_backward(ctx, opts, dy, dx);
  const float* const dys = dy.as<float>();
  const Shape& in = dx.shape;
  if (is_pool_2x2(opts, in, dy.shape)) {
    avg_pool_2x2_backward(ctx, in, dy.shape, dys, dx.as<float>());
    return;
  }
  for_each_pixel(
      ctx,
      opts,
      in,
      dy.shape,
      dx.as<float>(),
      [&](float* pixel, std::int64_t at, std::int64_t, const Span& rows, const Span& columns) {
        const float share = share_of(opts, rows, columns);
        for (std::int64_t c = 0; c < in.c; ++c) pixel[c] += dys[at + c] * share;
      });
}

}  // namespace lamina::cpu
