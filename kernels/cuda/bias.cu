// Contract: kernels/cuda/bias.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/bias.h"

#include "kernels/cuda/act_math.h"
#include "kernels/cuda/channel_sums.h"
#include "kernels/cuda/pointwise.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

template <class T>
LAMINA_KERNEL add_and_activate(T* y, const T* b, std::int64_t count, int channels, Act act) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const float bias = b == nullptr ? 0.0f : cuda::as_f32(b[i % channels]);
    y[i] = cuda::from_f32<T>(cuda::activate(act, cuda::as_f32(y[i]) + bias));
  }
}

// The gradient behind the activation, which that in front of it overwrites.
template <class T>
struct Gradient {
  const T* y;
  T* dy;
  std::int64_t rows;
  int channels;
  Act act;
};

// Blocks take chunks of rows, `lanes` packs of channels side by side; the last of those that share
// their channels adds the chunks up.
template <int width, class T>
LAMINA_KERNEL differentiate(Gradient<T> gradient,
                            std::int64_t chunk_rows,
                            int lanes,
                            double* partial,
                            T* db,
                            std::uint32_t* tickets) {
  using P = cuda::Pack<T, width>;
  LAMINA_SHARED(double, sums, [width][cuda::kBlock]);
  const int thread = static_cast<int>(threadIdx.x), row_step = cuda::kBlock / lanes;
  const int packs = gradient.channels / width;
  const int pack = static_cast<int>(blockIdx.x) * lanes + thread % lanes;
  const int chunks = static_cast<int>(gridDim.y);
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.y) * chunk_rows;
  const std::int64_t end = begin + chunk_rows < gradient.rows ? begin + chunk_rows : gradient.rows;
  double total[width] = {};
  if (pack < packs) {
    float sum[width] = {};
    for (std::int64_t row = begin + thread / lanes; row < end; row += row_step) {
      P dy = reinterpret_cast<const P*>(gradient.dy)[row * packs + pack];
      if (gradient.act != Act::none) {
        const P y = reinterpret_cast<const P*>(gradient.y)[row * packs + pack];
        for (int j = 0; j < width; ++j)
          dy.v[j] = cuda::from_f32<T>(
              cuda::through_act(gradient.act, cuda::as_f32(y.v[j]), cuda::as_f32(dy.v[j])));
        reinterpret_cast<P*>(gradient.dy)[row * packs + pack] = dy;
      }
      for (int j = 0; j < width; ++j) sum[j] += cuda::as_f32(dy.v[j]);
    }
    for (int j = 0; j < width; ++j) total[j] = static_cast<double>(sum[j]);
  }
  cuda::add_rows(sums, total, lanes);
  const bool sums_up = thread < lanes && pack < packs;
  if (sums_up) {
    for (int j = 0; j < width; ++j)
      partial[(static_cast<std::int64_t>(blockIdx.y) * packs + pack) * width + j] = sums[j][thread];
  }
  if (!cuda::last_block(tickets + blockIdx.x, gridDim.y)) return;
  for (int j = 0; j < width; ++j) total[j] = 0.0;
  if (pack < packs) {
    for (int chunk = thread / lanes; chunk < chunks; chunk += row_step)
      for (int j = 0; j < width; ++j)
        total[j] += partial[(static_cast<std::int64_t>(chunk) * packs + pack) * width + j];
  }
  cuda::add_rows(sums, total, lanes);
  if (sums_up) {
    for (int j = 0; j < width; ++j)
      db[pack * width + j] = cuda::from_f32<T>(static_cast<float>(sums[j][thread]));
  }
}

template <int width, class T>
void launch_differentiate(Context& ctx, const Gradient<T>& gradient, T* db) {
  using namespace cuda;
  const std::int64_t packs = gradient.channels / width;
  const ChunkSize size = chunk_size(gradient.rows, packs, lanes_for(packs), width * sizeof(double));
  const Grid grid{static_cast<unsigned>((packs + size.lanes - 1) / size.lanes),
                  static_cast<unsigned>(size.count)};
  LAMINA_CHECK(grid.x <= kTickets,
               "bias_act_backward: {} channels are more than there are counters for.",
               gradient.channels);
  launch(ctx,
         "bias_act_backward",
         grid,
         kBlock,
         differentiate<width, T>,
         gradient,
         size.rows,
         size.lanes,
         static_cast<double*>(scratch_of(ctx)),
         db,
         tickets_of(ctx));
}

}  // namespace

void cuda::add_bias_act(Context& ctx, Act act, const Tensor& b, const Tensor& y) {
  visit_compute(y.dtype, "add_bias_act", [&]<class T>(T) {
    launch(ctx,
           "add_bias_act",
           blocks_for(y.numel()),
           kBlock,
           add_and_activate<T>,
           y.as<T>(),
           b ? b.as<T>() : nullptr,
           y.numel(),
           static_cast<int>(y.shape.c),
           act);
  });
}

void cuda::bias_act_backward(
    Context& ctx, Act act, const Tensor& y, const Tensor& dy, const Tensor& db) {
  if (!db) {
    if (act != Act::none) act_backward(ctx, act, y, dy, dy);
    return;
  }
  const std::int64_t channels = db.numel();
  visit_compute(dy.dtype, "bias_act_backward", [&]<class T>(T) {
    const bool activated = act != Act::none;
    const Gradient<T> gradient{activated ? y.as<T>() : nullptr,
                               dy.as<T>(),
                               dy.numel() / channels,
                               static_cast<int>(channels),
                               act};
    constexpr int kWidth = kPackWidth<T>;
    if (channels % kWidth == 0 && aligned_for_packs(gradient.y, gradient.dy))
      launch_differentiate<kWidth>(ctx, gradient, db.as<T>());
    else
      launch_differentiate<1>(ctx, gradient, db.as<T>());
  });
}

}  // namespace lamina
