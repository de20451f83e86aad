// Optimizers over the whole parameter slab, and the end of a step. Contract: kernels/optimizer.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer.h"

#include <cmath>

#include "kernels/checks.h"
#include "kernels/cuda/language.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

// The parameters: f32 weights, gradients of type T and, where there is one, the weights' copy.
template <class T>
struct Slab {
  float* w;
  const T* dw;
  T* copy;
  std::int64_t count;

  LAMINA_DEVICE void store(std::int64_t i, float weight) const {
    w[i] = weight;
    if (copy != nullptr) copy[i] = cuda::from_f32<T>(weight);
  }
};

struct Sgd {
  float momentum, decay;
  bool nesterov;
};

template <class T>
LAMINA_KERNEL sgd(Slab<T> slab, float* m, Sgd opts, const StepState* state) {
  if (state->overflowed()) return;
  const float lr = state->lr, unscale = 1.0f / state->loss_scale;
  for (std::int64_t i = cuda::first_thread(); i < slab.count; i += cuda::all_threads()) {
    const float weight = slab.w[i];
    const float g = cuda::as_f32(slab.dw[i]) * unscale + opts.decay * weight;
    float direction = g;
    if (opts.momentum != 0.0f) {
      const float velocity = opts.momentum * m[i] + g;
      m[i] = velocity;
      direction = opts.nesterov ? g + opts.momentum * velocity : velocity;
    }
    slab.store(i, weight - lr * direction);
  }
}

struct Adam {
  double beta1, beta2;
  float eps, decay;
  bool decoupled;
};

template <class T>
LAMINA_KERNEL adam(Slab<T> slab, float* m, float* v, Adam opts, const StepState* state) {
  LAMINA_SHARED(float, corrections, [2]);
  if (state->overflowed()) return;
  // The powers are expensive and the same for everyone.
  if (threadIdx.x == 0) {
    const double t = static_cast<double>(state->step + 1 - state->skipped);
    corrections[0] =
        static_cast<float>(static_cast<double>(state->lr) / (1.0 - pow(opts.beta1, t)));
    corrections[1] = static_cast<float>(1.0 / sqrt(1.0 - pow(opts.beta2, t)));
  }
  cuda::barrier();
  const float step_size = corrections[0], v_scale = corrections[1];
  const float unscale = 1.0f / state->loss_scale;
  const float decay = opts.decoupled ? 0.0f : opts.decay;
  const float keep = opts.decoupled ? 1.0f - state->lr * opts.decay : 1.0f;
  const auto beta1 = static_cast<float>(opts.beta1), beta2 = static_cast<float>(opts.beta2);
  const auto rest1 = static_cast<float>(1.0 - opts.beta1);
  const auto rest2 = static_cast<float>(1.0 - opts.beta2);
  for (std::int64_t i = cuda::first_thread(); i < slab.count; i += cuda::all_threads()) {
    const float weight = slab.w[i];
    const float g = cuda::as_f32(slab.dw[i]) * unscale + decay * weight;
    const float first = beta1 * m[i] + rest1 * g;
    const float second = beta2 * v[i] + rest2 * (g * g);
    m[i] = first;
    v[i] = second;
    slab.store(i, keep * weight - step_size * (first / (sqrtf(second) * v_scale + opts.eps)));
  }
}

template <class T>
LAMINA_KERNEL look_for_overflow(StepState* state,
                                const T* dw,
                                std::int64_t count,
                                std::int64_t first) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const float value = cuda::as_f32(dw[i]);
    if (value - value == 0.0f) continue;  // infinity and NaN make NaN
    cuda::min_atomic(&state->overflow_at, first + i);
    return;  // later ones of this thread are larger
  }
}

LAMINA_KERNEL end_step(StepState* state, std::int64_t samples) {
  if (threadIdx.x == 0) state->advance(samples);
}

template <class T>
Slab<T> slab_of(const Tensor& w, const Tensor& dw, const Tensor& copy) {
  return {w.as<float>(), dw.as<T>(), copy ? copy.as<T>() : nullptr, w.numel()};
}

}  // namespace

void cuda::sgd_step(Context& ctx,
                    const SgdOpts& opts,
                    const StepState* state,
                    const Tensor& w,
                    const Tensor& dw,
                    const Tensor& m,
                    const Tensor& copy) {
  checks::sgd_step(ctx, opts, state, w, dw, m, copy);
  const Sgd values{
      static_cast<float>(opts.momentum), static_cast<float>(opts.weight_decay), opts.nesterov};
  visit_compute(dw.dtype, "sgd_step", [&]<class T>(T) {
    launch(ctx,
           "sgd_step",
           blocks_for(w.numel()),
           kBlock,
           sgd<T>,
           slab_of<T>(w, dw, copy),
           m ? m.as<float>() : nullptr,
           values,
           state);
  });
}

void cuda::adam_step(Context& ctx,
                     const AdamOpts& opts,
                     const StepState* state,
                     const Tensor& w,
                     const Tensor& dw,
                     const Tensor& m,
                     const Tensor& v,
                     const Tensor& copy) {
  checks::adam_step(ctx, opts, state, w, dw, m, v, copy);
  const Adam values{opts.beta1,
                    opts.beta2,
                    static_cast<float>(opts.eps),
                    static_cast<float>(opts.weight_decay),
                    opts.decoupled};
  visit_compute(dw.dtype, "adam_step", [&]<class T>(T) {
    launch(ctx,
           "adam_step",
           blocks_for(w.numel()),
           kBlock,
           adam<T>,
           slab_of<T>(w, dw, copy),
           m.as<float>(),
           v.as<float>(),
           values,
           state);
  });
}

void cuda::find_overflow(Context& ctx, StepState* state, const Tensor& dw, std::int64_t first) {
  checks::find_overflow(ctx, state, dw);
  visit_compute(dw.dtype, "find_overflow", [&]<class T>(T) {
    launch(ctx,
           "find_overflow",
           blocks_for(dw.numel()),
           kBlock,
           look_for_overflow<T>,
           state,
           dw.as<T>(),
           dw.numel(),
           first);
  });
}

void cuda::advance(Context& ctx, StepState* state, std::int64_t samples) {
  checks::advance(state, samples);
  launch(ctx, "advance", Grid{}, kWarp, end_step, state, samples);
}

}  // namespace lamina
