// Bilinear resize in plain loops. Contract: kernels/upsample.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/upsample.h"

#include "kernels/checks.h"
#include "kernels/ref/bilinear.h"
#include "kernels/ref/sums.h"

namespace lamina {
namespace {

// Calls body(x_index, y_index, weight) for the four terms of every output.
template <class Body>
void for_each_term(const Shape& x, const Shape& y, Body&& body) {
  for (std::int64_t n = 0; n < y.n; ++n)
    for (std::int64_t p = 0; p < y.h; ++p)
      for (std::int64_t q = 0; q < y.w; ++q) {
        const ref::Taps rows = ref::taps_of(p, x.h, y.h), columns = ref::taps_of(q, x.w, y.w);
        for (int i = 0; i < 2; ++i)
          for (int j = 0; j < 2; ++j)
            for (std::int64_t c = 0; c < x.c; ++c)
              body(((n * x.h + rows.index[i]) * x.w + columns.index[j]) * x.c + c,
                   ((n * y.h + p) * y.w + q) * y.c + c,
                   rows.weight[i] * columns.weight[j]);
      }
}

}  // namespace

void ref::upsample_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::upsample_forward(ctx, x, y);
  visit_real(x.dtype, "upsample_forward", [&]<class T>(T) {
    std::vector<double> sums = ref::zeros(y);
    for_each_term(x.shape, y.shape, [&](std::int64_t xi, std::int64_t yi, double weight) {
      sums[yi] += weight * x.as<T>()[xi];
    });
    ref::store<T>(sums, y);
  });
}

void ref::upsample_backward(Context& ctx, const Tensor& dy, const Tensor& dx) {
  checks::upsample_backward(ctx, dy, dx);
  visit_real(dx.dtype, "upsample_backward", [&]<class T>(T) {
    std::vector<double> sums = ref::zeros(dx);
    for_each_term(dx.shape, dy.shape, [&](std::int64_t xi, std::int64_t yi, double weight) {
      sums[xi] += weight * dy.as<T>()[yi];
    });
    ref::store<T>(sums, dx);
  });
}

}  // namespace lamina
