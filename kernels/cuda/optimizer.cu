// Optimizers over the whole parameter slab, and the end of a step. Contract: kernels/optimizer.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer.h"

#include <cmath>

#include "kernels/checks.h"
#include "kernels/cuda/slab.h"

namespace lamina {
namespace {

using cuda::Slab;

struct Sgd {
  float momentum, decay;
  bool nesterov;
};

// m is null without momentum.
template <class G, class C>
LAMINA_KERNEL sgd(Slab<G, C> slab, float* m, Sgd opts, const StepState* state) {
  if (state->overflowed()) return;
  const float lr = state->lr, factor = state->gradient_factor();
  const auto momentum = static_cast<float>(state->momentum_or(opts.momentum));
  for (std::int64_t i = cuda::first_thread(); i < slab.count; i += cuda::all_threads()) {
    const float weight = slab.w[i];
    const float g = cuda::as_f32(slab.dw[i]) * factor + opts.decay * weight;
    float direction = g;
    if (m != nullptr) {
      const float velocity = momentum * m[i] + g;
      m[i] = velocity;
      direction = opts.nesterov ? g + momentum * velocity : velocity;
    }
    slab.store(i, weight - lr * direction);
  }
}

struct Adam {
  double beta1, beta2;
  float eps, decay;
  bool decoupled;
};

template <class G, class C>
LAMINA_KERNEL adam(Slab<G, C> slab, float* m, float* v, Adam opts, const StepState* state) {
  LAMINA_SHARED(float, corrections, [2]);
  if (state->overflowed()) return;
  const double first_decay = state->momentum_or(opts.beta1);
  // The powers are expensive and the same for everyone.
  if (threadIdx.x == 0) {
    const double t = static_cast<double>(state->updates + 1 - state->skipped);
    corrections[0] =
        static_cast<float>(static_cast<double>(state->lr) / (1.0 - pow(first_decay, t)));
    corrections[1] = static_cast<float>(1.0 / sqrt(1.0 - pow(opts.beta2, t)));
  }
  cuda::barrier();
  const float step_size = corrections[0], v_scale = corrections[1];
  const float factor = state->gradient_factor();
  const float decay = opts.decoupled ? 0.0f : opts.decay;
  const float keep = opts.decoupled ? 1.0f - state->lr * opts.decay : 1.0f;
  const auto beta1 = static_cast<float>(first_decay), beta2 = static_cast<float>(opts.beta2);
  const auto rest1 = static_cast<float>(1.0 - first_decay);
  const auto rest2 = static_cast<float>(1.0 - opts.beta2);
  for (std::int64_t i = cuda::first_thread(); i < slab.count; i += cuda::all_threads()) {
    const float weight = slab.w[i];
    const float g = cuda::as_f32(slab.dw[i]) * factor + decay * weight;
    const float first = beta1 * m[i] + rest1 * g;
    const float second = beta2 * v[i] + rest2 * (g * g);
    m[i] = first;
    v[i] = second;
    slab.store(i, keep * weight - step_size * (first / (sqrtf(second) * v_scale + opts.eps)));
  }
}

struct Rmsprop {
  float alpha, rest, eps, decay, momentum;
};

// m is null without momentum.
template <class G, class C>
LAMINA_KERNEL rmsprop(Slab<G, C> slab, float* m, float* v, Rmsprop opts, const StepState* state) {
  if (state->overflowed()) return;
  const float lr = state->lr, factor = state->gradient_factor();
  for (std::int64_t i = cuda::first_thread(); i < slab.count; i += cuda::all_threads()) {
    const float weight = slab.w[i];
    const float g = cuda::as_f32(slab.dw[i]) * factor + opts.decay * weight;
    const float square = opts.alpha * v[i] + opts.rest * (g * g);
    v[i] = square;
    float direction = g / (sqrtf(square) + opts.eps);
    if (m != nullptr) {
      direction = opts.momentum * m[i] + direction;
      m[i] = direction;
    }
    slab.store(i, weight - lr * direction);
  }
}

LAMINA_KERNEL end_batch(StepState* state,
                        AdvanceOpts opts,
                        const float* rates,
                        std::int64_t rate_count,
                        const float* momenta,
                        std::int64_t momentum_count) {
  if (threadIdx.x != 0) return;
  state->advance(opts.samples, opts.update);
  if (rates != nullptr) state->lr = rates[state->step % rate_count];
  if (momenta != nullptr) state->momentum = momenta[state->step % momentum_count];
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
  visit_slab(w, dw, copy, "sgd_step", [&]<class G, class C>(const Slab<G, C>& slab) {
    launch(ctx,
           "sgd_step",
           blocks_for(w.numel()),
           kBlock,
           sgd<G, C>,
           slab,
           opts.momentum != 0 ? m.as<float>() : nullptr,
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
  visit_slab(w, dw, copy, "adam_step", [&]<class G, class C>(const Slab<G, C>& slab) {
    launch(ctx,
           "adam_step",
           blocks_for(w.numel()),
           kBlock,
           adam<G, C>,
           slab,
           m.as<float>(),
           v.as<float>(),
           values,
           state);
  });
}

void cuda::rmsprop_step(Context& ctx,
                        const RmspropOpts& opts,
                        const StepState* state,
                        const Tensor& w,
                        const Tensor& dw,
                        const Tensor& m,
                        const Tensor& v,
                        const Tensor& copy) {
  checks::rmsprop_step(ctx, opts, state, w, dw, m, v, copy);
  const Rmsprop values{static_cast<float>(opts.alpha),
                       static_cast<float>(1.0 - opts.alpha),
                       static_cast<float>(opts.eps),
                       static_cast<float>(opts.weight_decay),
                       static_cast<float>(opts.momentum)};
  visit_slab(w, dw, copy, "rmsprop_step", [&]<class G, class C>(const Slab<G, C>& slab) {
    launch(ctx,
           "rmsprop_step",
           blocks_for(w.numel()),
           kBlock,
           rmsprop<G, C>,
           slab,
           opts.momentum != 0 ? m.as<float>() : nullptr,
           v.as<float>(),
           values,
           state);
  });
}

void cuda::advance(Context& ctx,
                   const AdvanceOpts& opts,
                   StepState* state,
                   const Tensor& rates,
                   const Tensor& momenta) {
  checks::advance(opts, state, rates, momenta);
  launch(ctx,
         "advance",
         Grid{},
         kWarp,
         end_batch,
         state,
         opts,
         static_cast<const float*>(rates ? rates.as<float>() : nullptr),
         rates.numel(),
         static_cast<const float*>(momenta ? momenta.as<float>() : nullptr),
         momenta.numel());
}

}  // namespace lamina
