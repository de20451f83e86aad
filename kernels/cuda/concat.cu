// Channels side by side: a launch a part. Contract: kernels/concat.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/concat.h"

#include "kernels/checks.h"
#include "kernels/cuda/channel_rows.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

template <int width, class T>
LAMINA_KERNEL copy_rows(cuda::RowSize size, cuda::Rows<const T> x, cuda::Rows<T> y) {
  const cuda::RowWalk at = cuda::row_walk<width>(size);
  for (std::int64_t row = at.row; row < at.end; row += at.step)
    y.template store<width>(row, at.channel, x.template load<width>(row, at.channel));
}

template <class T>
void copy_slice(Context& ctx, const char* name, const Tensor& x, const Tensor& y) {
  cuda::launch_rows<T>(
      ctx,
      name,
      x.rows(),
      x.shape.c,
      {x, y},
      []<int width>(cuda::Width<width>) { return copy_rows<width, T>; },
      cuda::rows_of<const T>(x),
      cuda::rows_of<T>(y));
}

}  // namespace

void cuda::concat(Context& ctx, std::span<const Tensor> x, const Tensor& y) {
  checks::concat(ctx, x, y);
  visit_compute(y.dtype, "concat", [&]<class T>(T) {
    std::int64_t first = 0;
    for (const Tensor& part : x) {
      if (!lies_in(part, y, first))
        copy_slice<T>(ctx, "concat", part, slice_channels(y, first, part.shape.c));
      first += part.shape.c;
    }
  });
}

void cuda::split(Context& ctx,
                 const Tensor& dy,
                 std::span<const Tensor> dx,
                 std::span<const std::int64_t> channels) {
  checks::split(ctx, dy, dx, channels);
  visit_compute(dy.dtype, "split", [&]<class T>(T) {
    std::int64_t first = 0;
    for (std::size_t i = 0; i < dx.size(); ++i) {
      if (dx[i] && !lies_in(dx[i], dy, first))
        copy_slice<T>(ctx, "split", slice_channels(dy, first, channels[i]), dx[i]);
      first += channels[i];
    }
  });
}

}  // namespace lamina
