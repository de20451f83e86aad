// Average pooling to a given size: a group of channels at a time, its sums in registers.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/adaptive_pool.h"

#include <algorithm>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {
namespace {

// Vectors of channels that are added up together: long enough runs of memory for the prefetcher,
// and few enough for the registers of sums of two levels.
constexpr int kGroup = kRegisters / 4;
constexpr std::int64_t kGroupFloats = kGroup * kLanes;

struct Span {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};

// The inputs under output `out`. With the sizes the other way round, the outputs over an input.
Span span_of(std::int64_t out, std::int64_t out_size, std::int64_t in_size) {
  return {out * in_size / out_size, ((out + 1) * in_size + out_size - 1) / out_size};
}

float share_of(const Span& rows, const Span& columns) {
  return 1.0f / static_cast<float>(rows.size() * columns.size());
}

// Calls body(n, row, column, first channel, end) for every group of every pixel.
template <class Body>
void for_each_group(const Context& ctx,
                    const Shape& s,
                    std::int64_t floats_each,
                    const Body& body) {
  const std::int64_t groups = (s.c + kGroupFloats - 1) / kGroupFloats;
  const std::int64_t grain = std::max<std::int64_t>(1, 8192 / floats_each);
  parallel_for(ctx, s.n * s.h * s.w * groups, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t c = i % groups * kGroupFloats, pixel = i / groups;
      body(pixel / s.w / s.h, pixel / s.w % s.h, pixel % s.w, c, std::min(c + kGroupFloats, s.c));
    }
  });
}

// A window: where it starts, its rows and columns, and the floats from one to the next.
template <class T>
struct Window {
  const T* start;
  std::int64_t rows, row, columns, column;
  float share;
};

// The average of `vectors` vectors of channels from channel c on. Each row of the window has its
// own sum: a single one over a large map would lose digits.
template <int vectors, class T>
LAMINA_INLINE void average(const Window<T>& window, std::int64_t c, T* y) {
  Vec sum[vectors] = {};
  for (std::int64_t h = 0; h < window.rows; ++h) {
    Vec row_sum[vectors] = {};
    const T* x = window.start + h * window.row + c;
    for (std::int64_t w = 0; w < window.columns; ++w, x += window.column) {
      LAMINA_UNROLL
      for (int v = 0; v < vectors; ++v) row_sum[v] += load(x + v * kLanes);
    }
    LAMINA_UNROLL
    for (int v = 0; v < vectors; ++v) sum[v] += row_sum[v];
  }
  LAMINA_UNROLL
  for (int v = 0; v < vectors; ++v) store(y + c + v * kLanes, sum[v] * window.share);
}

// The same for fewer channels than a vector has lanes.
template <class T>
LAMINA_INLINE void average_part(const Window<T>& window, std::int64_t c, std::int64_t count, T* y) {
  Vec sum = {};
  for (std::int64_t h = 0; h < window.rows; ++h) {
    Vec row_sum = {};
    for (std::int64_t w = 0; w < window.columns; ++w)
      row_sum += load_part(window.start + h * window.row + w * window.column + c, count);
    sum += row_sum;
  }
  store_part(y + c, sum * window.share, count);
}

// Channels [c, end) of a group, the most of them together.
template <class T>
LAMINA_INLINE void average_channels(const Window<T>& window,
                                    std::int64_t c,
                                    std::int64_t end,
                                    T* y) {
  for (; c + kGroupFloats <= end; c += kGroupFloats) average<kGroup>(window, c, y);
  if constexpr (kGroup > 4)
    for (; c + 4 * kLanes <= end; c += 4 * kLanes) average<4>(window, c, y);
  for (; c + 2 * kLanes <= end; c += 2 * kLanes) average<2>(window, c, y);
  for (; c + kLanes <= end; c += kLanes) average<1>(window, c, y);
  if (c < end) average_part(window, c, end - c, y);
}

}  // namespace

void adaptive_avg_pool_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::adaptive_avg_pool_forward(ctx, x, y);
  const Shape &in = x.shape, &out = y.shape;
  const std::int64_t elements = std::max<std::int64_t>(1, in.h * in.w / (out.h * out.w));
  visit_storage(x.dtype, [&]<class T>(T) {
    const T* const xs = x.as<T>();
    T* const ys = y.as<T>();
    for_each_group(
        ctx,
        out,
        elements * std::min(kGroupFloats, out.c),
        [&](std::int64_t n, std::int64_t p, std::int64_t q, std::int64_t c, std::int64_t end) {
          const Span rows = span_of(p, out.h, in.h), columns = span_of(q, out.w, in.w);
          const Window<T> window{xs + ((n * in.h + rows.begin) * in.w + columns.begin) * in.c,
                                 rows.size(),
                                 in.w * in.c,
                                 columns.size(),
                                 in.c,
                                 share_of(rows, columns)};
          average_channels(window, c, end, ys + ((n * out.h + p) * out.w + q) * out.c);
        });
  });
}

void adaptive_avg_pool_backward(Context& ctx, const Tensor& dy, const Tensor& dx) {
  checks::adaptive_avg_pool_backward(ctx, dy, dx);
  const Shape &in = dx.shape, &out = dy.shape;
  const std::int64_t grain = std::max<std::int64_t>(1, 8192 / (in.w * in.c));
  visit_storage(dx.dtype, [&]<class T>(T) {
    const T* const dys = dy.as<T>();
    T* const dxs = dx.as<T>();
    parallel_for(ctx, in.n * in.h, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Span ps = span_of(i % in.h, in.h, out.h);
        const T* const image = dys + i / in.h * out.per_sample();
        for (std::int64_t w = 0; w < in.w; ++w) {
          const Span qs = span_of(w, in.w, out.w);
          T* const pixel = dxs + (i * in.w + w) * in.c;
          const auto share_at = [&](std::int64_t p, std::int64_t q) {
            return share_of(span_of(p, out.h, in.h), span_of(q, out.w, in.w));
          };
          if (ps.size() == 1 && qs.size() == 1) {
            const float share = share_at(ps.begin, qs.begin);
            const T* const from = image + (ps.begin * out.w + qs.begin) * out.c;
            map_range(
                0, in.c, [=](const Vec& v) { return v * share; }, pixel, from);
            continue;
          }
          for (std::int64_t c = 0; c < in.c; c += kLanes) {
            const std::int64_t count = in.c - c;
            Vec sum{};
            for (std::int64_t p = ps.begin; p < ps.end; ++p)
              for (std::int64_t q = qs.begin; q < qs.end; ++q)
                sum += load_some(image + (p * out.w + q) * out.c + c, count) * share_at(p, q);
            store_some(pixel + c, sum, count);
          }
        }
      }
    });
  });
}

}  // namespace lamina::cpu
