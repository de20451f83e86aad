// Pooling in plain loops. Contract: kernels/pool.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/pool.h"

#include <algorithm>
#include <cmath>

#include "kernels/checks.h"
#include "kernels/ref/sums.h"

namespace lamina {
namespace {

// The part [begin, end) of a window that lies inside the input, in one direction.
struct Span {
  std::int64_t start;  // of the whole window, may be negative
  std::int64_t begin, end;
  std::int64_t padded;  // length of the window with the padding it covers
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

// Element `i`, counted through all channels, of a map that may be a slice.
template <class T>
T& at(const Tensor& t, std::int64_t i) {
  return t.as<T>()[i / t.shape.c * t.row() + i % t.shape.c];
}

// Calls body(y_index, rows, columns, channel's offset in x of sample n) for every output.
template <class Body>
void for_each_window(const PoolOpts& o, const Shape& x, Body&& body) {
  const Shape y = pool_output(o, x);
  std::int64_t y_index = 0;
  for (std::int64_t n = 0; n < y.n; ++n)
    for (std::int64_t p = 0; p < y.h; ++p)
      for (std::int64_t q = 0; q < y.w; ++q)
        for (std::int64_t c = 0; c < y.c; ++c)
          body(y_index++,
               span_of(p, o.stride_h, o.pad_h, o.r, x.h),
               span_of(q, o.stride_w, o.pad_w, o.s, x.w),
               n * x.per_sample() + c);
}

double divisor(const PoolOpts& o, const Span& rows, const Span& columns) {
  const std::int64_t count = o.count_include_pad
                                 ? rows.padded * columns.padded
                                 : (rows.end - rows.begin) * (columns.end - columns.begin);
  return static_cast<double>(count);
}

}  // namespace

void ref::max_pool_forward(
    Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y, const Tensor& idx) {
  checks::max_pool_forward(ctx, opts, x, y, idx);
  visit_real(x.dtype, "max_pool_forward", [&]<class T>(T) {
    for_each_window(
        opts,
        x.shape,
        [&](std::int64_t y_index, const Span& rows, const Span& columns, std::int64_t base) {
          const auto value_at = [&](std::int64_t h, std::int64_t w) {
            return x.as<T>()[base + (h * x.shape.w + w) * x.shape.c];
          };
          T best = value_at(rows.begin, columns.begin);
          std::int64_t best_h = rows.begin, best_w = columns.begin;
          for (std::int64_t h = rows.begin; h < rows.end; ++h)
            for (std::int64_t w = columns.begin; w < columns.end; ++w) {
              const T value = value_at(h, w);
              if (value > best || (std::isnan(value) && !std::isnan(best))) {
                best = value;
                best_h = h;
                best_w = w;
              }
            }
          at<T>(y, y_index) = best;
          if (idx) {
            idx.as<std::uint8_t>()[y_index] = static_cast<std::uint8_t>(
                (best_h - rows.start) * opts.s + (best_w - columns.start));
          }
        });
  });
}

void ref::max_pool_backward(
    Context& ctx, const PoolOpts& opts, const Tensor& dy, const Tensor& idx, const Tensor& dx) {
  checks::max_pool_backward(ctx, opts, dy, idx, dx);
  visit_real(dx.dtype, "max_pool_backward", [&]<class T>(T) {
    std::vector<double> sums = ref::zeros(dx);
    for_each_window(
        opts,
        dx.shape,
        [&](std::int64_t y_index, const Span& rows, const Span& columns, std::int64_t base) {
          const std::int64_t winner = idx.as<std::uint8_t>()[y_index];
          const std::int64_t h = rows.start + winner / opts.s, w = columns.start + winner % opts.s;
          sums[base + (h * dx.shape.w + w) * dx.shape.c] += at<T>(dy, y_index);
        });
    ref::store<T>(sums, dx);
  });
}

void ref::avg_pool_forward(Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y) {
  checks::avg_pool_forward(ctx, opts, x, y);
  visit_real(x.dtype, "avg_pool_forward", [&]<class T>(T) {
    for_each_window(
        opts,
        x.shape,
        [&](std::int64_t y_index, const Span& rows, const Span& columns, std::int64_t base) {
          double sum = 0;
          for (std::int64_t h = rows.begin; h < rows.end; ++h)
            for (std::int64_t w = columns.begin; w < columns.end; ++w)
              sum += x.as<T>()[base + (h * x.shape.w + w) * x.shape.c];
          at<T>(y, y_index) = static_cast<T>(sum / divisor(opts, rows, columns));
        });
  });
}

void ref::avg_pool_backward(Context& ctx,
                            const PoolOpts& opts,
                            const Tensor& dy,
                            const Tensor& dx) {
  checks::avg_pool_backward(ctx, opts, dy, dx);
  visit_real(dx.dtype, "avg_pool_backward", [&]<class T>(T) {
    std::vector<double> sums = ref::zeros(dx);
    for_each_window(
        opts,
        dx.shape,
        [&](std::int64_t y_index, const Span& rows, const Span& columns, std::int64_t base) {
          const double share = at<T>(dy, y_index) / divisor(opts, rows, columns);
          for (std::int64_t h = rows.begin; h < rows.end; ++h)
            for (std::int64_t w = columns.begin; w < columns.end; ++w)
              sums[base + (h * dx.shape.w + w) * dx.shape.c] += share;
        });
    ref::store<T>(sums, dx);
  });
}

}  // namespace lamina
