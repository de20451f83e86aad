// Channels side by side: a launch a part, 16 bytes a thread where channel counts and addresses
// allow. Contract: kernels/concat.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/concat.h"

#include "kernels/checks.h"
#include "kernels/cuda/pointwise.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

// A stretch of channels inside rows of `row` elements of type P.
template <class P>
struct Stretch {
  P* data;
  std::int64_t row;
};

template <class P>
LAMINA_KERNEL copy_rows(Stretch<const P> from,
                        Stretch<P> to,
                        std::int64_t count,
                        std::int64_t channels) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const std::int64_t row = i / channels, c = i % channels;
    to.data[row * to.row + c] = from.data[row * from.row + c];
  }
}

template <class T>
void copy_stretch(Context& ctx,
                  const char* name,
                  std::int64_t rows,
                  std::int64_t channels,
                  const T* from,
                  std::int64_t from_row,
                  T* to,
                  std::int64_t to_row) {
  constexpr int kWidth = cuda::kPackWidth<T>;
  const auto run = [&]<int width>(std::integral_constant<int, width>) {
    using P = cuda::Pack<T, width>;
    const std::int64_t count = rows * channels / width;
    cuda::launch(ctx,
                 name,
                 cuda::blocks_for(count),
                 cuda::kBlock,
                 copy_rows<P>,
                 Stretch<const P>{reinterpret_cast<const P*>(from), from_row / width},
                 Stretch<P>{reinterpret_cast<P*>(to), to_row / width},
                 count,
                 channels / width);
  };
  const bool packs = cuda::aligned_for_packs(from, to) && channels % kWidth == 0 &&
                     from_row % kWidth == 0 && to_row % kWidth == 0;
  if (packs)
    run(std::integral_constant<int, kWidth>{});
  else
    run(std::integral_constant<int, 1>{});
}

}  // namespace

void cuda::concat(Context& ctx, std::span<const Tensor> x, const Tensor& y) {
  checks::concat(ctx, x, y);
  visit_compute(y.dtype, "concat", [&]<class T>(T) {
    std::int64_t first = 0;
    for (const Tensor& part : x) {
      copy_stretch<T>(ctx,
                      "concat",
                      y.numel() / y.shape.c,
                      part.shape.c,
                      part.as<T>(),
                      part.shape.c,
                      y.as<T>() + first,
                      y.shape.c);
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
      if (dx[i])
        copy_stretch<T>(ctx,
                        "split",
                        dy.numel() / dy.shape.c,
                        channels[i],
                        dy.as<T>() + first,
                        dy.shape.c,
                        dx[i].as<T>(),
                        channels[i]);
      first += channels[i];
    }
  });
}

}  // namespace lamina
