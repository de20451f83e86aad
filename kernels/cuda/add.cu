// Contract: kernels/add.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/add.h"

#include <cmath>

#include "kernels/checks.h"
#include "kernels/cuda/act_math.h"
#include "kernels/cuda/pointwise.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

// The activations that are bounds; others would take more registers than the sum is worth.
struct Forward {
  float scale, least, most;
  LAMINA_DEVICE float operator()(float a, float b) const {
    const float sum = a + scale * b;
    return sum < least ? least : (sum > most ? most : sum);  // NaN stays
  }
};

Forward forward_of(const AddOpts& opts) {
  const bool relu = opts.act == Act::relu || opts.act == Act::relu6;
  return {.scale = static_cast<float>(opts.scale),
          .least = relu ? 0.0f : -INFINITY,
          .most = opts.act == Act::relu6 ? 6.0f : INFINITY};
}

// y may be null without an activation; so may da or db. One of them may be dy.
template <int width, class T>
LAMINA_KERNEL backward(
    Act act, float scale, const T* y, const T* dy, T* da, T* db, std::int64_t count) {
  using P = cuda::Pack<T, width>;
  const std::int64_t packs = count / width;
  const auto gradient = [=](T out, T g) {
    return cuda::through_act(act, cuda::as_f32(out), cuda::as_f32(g));
  };
  for (std::int64_t i = cuda::first_thread(); i < packs; i += cuda::all_threads()) {
    const P g = reinterpret_cast<const P*>(dy)[i];
    P out = g, scaled = g;
    if (y != nullptr) out = reinterpret_cast<const P*>(y)[i];
    for (int j = 0; j < width; ++j) {
      const float through = gradient(out.v[j], g.v[j]);
      out.v[j] = cuda::from_f32<T>(through);
      scaled.v[j] = cuda::from_f32<T>(scale * through);
    }
    if (da != nullptr) reinterpret_cast<P*>(da)[i] = out;
    if (db != nullptr) reinterpret_cast<P*>(db)[i] = scaled;
  }
  for (std::int64_t i = packs * width + cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const float through = gradient(y != nullptr ? y[i] : dy[i], dy[i]);
    if (da != nullptr) da[i] = cuda::from_f32<T>(through);
    if (db != nullptr) db[i] = cuda::from_f32<T>(scale * through);
  }
}

}  // namespace

void cuda::add_forward(
    Context& ctx, const AddOpts& opts, const Tensor& a, const Tensor& b, const Tensor& y) {
  checks::add_forward(ctx, a, b, y);
  visit_compute(y.dtype, "add_forward", [&]<class T>(T) {
    map(ctx, "add_forward", a.as<T>(), b.as<T>(), y.as<T>(), y.numel(), forward_of(opts));
  });
  if (opts.act == Act::tanh || opts.act == Act::sigmoid) cuda::act_forward(ctx, opts.act, y, y);
}

void cuda::add_backward(Context& ctx,
                        const AddOpts& opts,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& da,
                        const Tensor& db) {
  checks::add_backward(ctx, opts.act, y, dy, da, db);
  visit_compute(dy.dtype, "add_backward", [&]<class T>(T) {
    constexpr int kWidth = kPackWidth<T>;
    const T* const out = opts.act == Act::none ? nullptr : y.as<T>();
    T* const to_a = da ? da.as<T>() : nullptr;
    T* const to_b = db ? db.as<T>() : nullptr;
    const bool packs = aligned_for_packs(out, dy.as<T>(), to_a, to_b);
    launch(ctx,
           "add_backward",
           blocks_for(dy.numel(), packs ? kWidth : 1),
           kBlock,
           packs ? backward<kWidth, T> : backward<1, T>,
           opts.act,
           static_cast<float>(opts.scale),
           out,
           dy.as<T>(),
           to_a,
           to_b,
           dy.numel());
  });
}

}  // namespace lamina
