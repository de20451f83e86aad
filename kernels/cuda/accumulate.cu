// Contract: kernels/accumulate.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/accumulate.h"

#include "kernels/checks.h"
#include "kernels/cuda/channel_rows.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

struct Add {
  LAMINA_DEVICE float operator()(float x, float y) const { return x + y; }
};

template <int width, class T>
LAMINA_KERNEL add_to_slice(cuda::RowSize size, cuda::Rows<const T> x, cuda::Rows<T> y) {
  const cuda::RowWalk at = cuda::row_walk<width>(size);
  for (std::int64_t row = at.row; row < at.end; row += at.step) {
    const auto part = x.template load<width>(row, at.channel);
    auto sum = y.template load<width>(row, at.channel);
    for (int j = 0; j < width; ++j)
      sum.v[j] = cuda::from_f32<T>(cuda::as_f32(part.v[j]) + cuda::as_f32(sum.v[j]));
    y.template store<width>(row, at.channel, sum);
  }
}

}  // namespace

void cuda::accumulate(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::accumulate(ctx, x, y);
  visit_compute(x.dtype, "accumulate", [&]<class T>(T) {
    if (y.is_slice()) {
      launch_rows<T>(
          ctx,
          "accumulate",
          x.rows(),
          x.shape.c,
          {x, y},
          []<int width>(Width<width>) { return add_to_slice<width, T>; },
          rows_of<const T>(x),
          rows_of<T>(y));
      return;
    }
    map(ctx, "accumulate", x.as<T>(), y.as<T>(), y.as<T>(), x.numel(), Add{});
  });
}

}  // namespace lamina
