// Average pooling to a given size in plain loops. Contract: kernels/adaptive_pool.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/adaptive_pool.h"

#include "kernels/checks.h"
#include "kernels/ref/sums.h"

namespace lamina {
namespace {

struct Span {
  std::int64_t begin, end;
};

Span window_of(std::int64_t out, std::int64_t out_size, std::int64_t in_size) {
  return {out * in_size / out_size, ((out + 1) * in_size + out_size - 1) / out_size};
}

// Calls body(y_index, x_index, elements in the window) for every pair of an output and an input
// that it is the average of.
template <class Body>
void for_each_pair(const Shape& x, const Shape& y, Body&& body) {
  std::int64_t y_index = 0;
  for (std::int64_t n = 0; n < y.n; ++n)
    for (std::int64_t p = 0; p < y.h; ++p)
      for (std::int64_t q = 0; q < y.w; ++q)
        for (std::int64_t c = 0; c < y.c; ++c, ++y_index) {
          const Span rows = window_of(p, y.h, x.h), columns = window_of(q, y.w, x.w);
          const std::int64_t count = (rows.end - rows.begin) * (columns.end - columns.begin);
          for (std::int64_t h = rows.begin; h < rows.end; ++h)
            for (std::int64_t w = columns.begin; w < columns.end; ++w)
              body(y_index, ((n * x.h + h) * x.w + w) * x.c + c, static_cast<double>(count));
        }
}

}  // namespace

void ref::adaptive_avg_pool_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::adaptive_avg_pool_forward(ctx, x, y);
  visit_real(x.dtype, "adaptive_avg_pool_forward", [&]<class T>(T) {
    std::vector<double> sums = ref::zeros(y);
    for_each_pair(x.shape, y.shape, [&](std::int64_t to, std::int64_t from, double count) {
      sums[to] += x.as<T>()[from] / count;
    });
    ref::store<T>(sums, y);
  });
}

void ref::adaptive_avg_pool_backward(Context& ctx, const Tensor& dy, const Tensor& dx) {
  checks::adaptive_avg_pool_backward(ctx, dy, dx);
  visit_real(dx.dtype, "adaptive_avg_pool_backward", [&]<class T>(T) {
    std::vector<double> sums = ref::zeros(dx);
    for_each_pair(dx.shape, dy.shape, [&](std::int64_t from, std::int64_t to, double count) {
      sums[to] += dy.as<T>()[from] / count;
    });
    ref::store<T>(sums, dx);
  });
}

}  // namespace lamina
