// Contract: kernels/cuda/bias.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/bias.h"

#include "kernels/cuda/act_math.h"
#include "kernels/cuda/channel_sums.h"
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

template <class T>
struct Column {
  const T* dy;
  int channels;
  LAMINA_DEVICE float pivot(int) const { return 0.0f; }
  LAMINA_DEVICE cuda::Pair operator()(std::int64_t row, int c, float) const {
    return {cuda::as_f32(dy[row * channels + c]), 0.0f};
  }
};

template <class T>
LAMINA_KERNEL finish_columns(cuda::ChannelChunks chunks, T* db) {
  const std::int64_t c = cuda::first_thread();
  if (c < chunks.channels)
    db[c] = cuda::from_f32<T>(static_cast<float>(chunks.total(static_cast<int>(c)).a));
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

void cuda::bias_gradient(Context& ctx, const Tensor& dy, const Tensor& db) {
  const std::int64_t channels = db.numel();
  visit_compute(dy.dtype, "bias_gradient", [&]<class T>(T) {
    const ChannelChunks chunks = add_channels(ctx,
                                              "bias_gradient sums",
                                              dy.numel() / channels,
                                              channels,
                                              Column<T>{dy.as<T>(), static_cast<int>(channels)});
    launch(ctx,
           "bias_gradient finish",
           blocks_for(channels),
           kBlock,
           finish_columns<T>,
           chunks,
           db.as<T>());
  });
}

}  // namespace lamina
