// Contract: kernels/cuda/bias.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/bias.h"

#include "kernels/cuda/act_math.h"
#include "kernels/cuda/channel_rows.h"
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

// The gradient behind the activation, which that in front of it overwrites, and its sum.
template <class T>
struct Gradient {
  static constexpr int kSums = 1;
  cuda::Rows<const T> y;
  cuda::Rows<T> dy;
  T* db;
  Act act;

  struct Channel {};
  LAMINA_DEVICE Channel channel(int) const { return {}; }
  template <int width>
  LAMINA_DEVICE void add(std::int64_t row,
                         int c,
                         const Channel (&)[width],
                         float (&sum)[kSums][width]) const {
    auto g = dy.template load<width>(row, c);
    if (act != Act::none) {
      const auto out = y.template load<width>(row, c);
      for (int j = 0; j < width; ++j)
        g.v[j] =
            cuda::from_f32<T>(cuda::through_act(act, cuda::as_f32(out.v[j]), cuda::as_f32(g.v[j])));
      dy.template store<width>(row, c, g);
    }
    for (int j = 0; j < width; ++j) sum[0][j] += cuda::as_f32(g.v[j]);
  }
  LAMINA_DEVICE void finish(int c, const double (&sum)[kSums]) const {
    db[c] = cuda::from_f32<T>(static_cast<float>(sum[0]));
  }
};

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
  // dy of a linear layer may be a map: its rows are as long as db.
  const std::int64_t channels = db.numel();
  visit_compute(dy.dtype, "bias_act_backward", [&]<class T>(T) {
    const T* const out = act != Act::none ? y.as<T>() : nullptr;
    const Gradient<T> gradient{{out, channels}, {dy.as<T>(), channels}, db.as<T>(), act};
    const bool packs = channels % kPackWidth<T> == 0 && aligned_for_packs(out, dy.as<T>());
    sum_channels<T>(ctx, "bias_act_backward", dy.numel() / channels, channels, packs, gradient);
  });
}

}  // namespace lamina
