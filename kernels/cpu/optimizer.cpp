// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer.h"

#include <cmath>

#include "kernels/checks.h"
#include "kernels/cpu/slab.h"

namespace lamina::cpu {
namespace {

LAMINA_INLINE Vec sqrt(const Vec& x) {
  Vec y;
  for (int i = 0; i < kLanes; ++i) y[i] = std::sqrt(x[i]);
  return y;
}

}  // namespace

void sgd_step(Context& ctx,
              const SgdOpts& opts,
              const StepState* state,
              const Tensor& w_,
              const Tensor& dw_,
              const Tensor& m_,
              const Tensor& copy_) {
  checks::sgd_step(ctx, opts, state, w_, dw_, m_, copy_);
  if (state->overflowed()) return;
  const float factor = state->gradient_factor();
  float* const w = w_.as<float>();
  const float lr = state->lr;
  const auto decay = static_cast<float>(opts.weight_decay);
  if (opts.momentum == 0) {
    visit_slabs(dw_, copy_, [&](const auto* dw, auto* copy) {
      walk_slab(ctx, w_.numel(), [=](const auto& in, const auto& out) {
        const Vec weight = in(w);
        const Vec updated = weight - lr * (in(dw)*factor + decay * weight);
        out(w, updated);
        if (copy != nullptr) out(copy, updated);
      });
    });
    return;
  }
  float* const m = m_.as<float>();
  const auto momentum = static_cast<float>(state->momentum_or(opts.momentum));
  const bool nesterov = opts.nesterov;
  visit_slabs(dw_, copy_, [&](const auto* dw, auto* copy) {
    walk_slab(ctx, w_.numel(), [=](const auto& in, const auto& out) {
      const Vec weight = in(w);
      const Vec g = in(dw)*factor + decay * weight;
      const Vec velocity = momentum * in(m) + g;
      out(m, velocity);
      const Vec updated = weight - lr * (nesterov ? g + momentum * velocity : velocity);
      out(w, updated);
      if (copy != nullptr) out(copy, updated);
    });
  });
}

void adam_step(Context& ctx,
               const AdamOpts& opts,
               const StepState* state,
               const Tensor& w_,
               const Tensor& dw_,
               const Tensor& m_,
               const Tensor& v_,
               const Tensor& copy_) {
  checks::adam_step(ctx, opts, state, w_, dw_, m_, v_, copy_);
  if (state->overflowed()) return;
  const float factor = state->gradient_factor();
  float* const w = w_.as<float>();
  float* const m = m_.as<float>();
  float* const v = v_.as<float>();
  const auto t = static_cast<double>(state->updates + 1 - state->skipped);
  const double first_decay = state->momentum_or(opts.beta1);
  const auto beta1 = static_cast<float>(first_decay), beta2 = static_cast<float>(opts.beta2);
  const auto rest1 = static_cast<float>(1.0 - first_decay);
  const auto rest2 = static_cast<float>(1.0 - opts.beta2);
  const auto step_size = static_cast<float>(state->lr / (1.0 - std::pow(first_decay, t)));
  const auto v_scale = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(opts.beta2, t)));
  const auto eps = static_cast<float>(opts.eps);
  const auto decay = static_cast<float>(opts.decoupled ? 0.0 : opts.weight_decay);
  const auto keep = static_cast<float>(opts.decoupled ? 1.0 - state->lr * opts.weight_decay : 1.0);
  visit_slabs(dw_, copy_, [&](const auto* dw, auto* copy) {
    walk_slab(ctx, w_.numel(), [=](const auto& in, const auto& out) {
      const Vec weight = in(w);
      const Vec g = in(dw)*factor + decay * weight;
      const Vec first = beta1 * in(m) + rest1 * g;
      const Vec second = beta2 * in(v) + rest2 * (g * g);
      out(m, first);
      out(v, second);
      const Vec updated = keep * weight - step_size * (first / (sqrt(second) * v_scale + eps));
      out(w, updated);
      if (copy != nullptr) out(copy, updated);
    });
  });
}

void rmsprop_step(Context& ctx,
                  const RmspropOpts& opts,
                  const StepState* state,
                  const Tensor& w_,
                  const Tensor& dw_,
                  const Tensor& m_,
                  const Tensor& v_,
                  const Tensor& copy_) {
  checks::rmsprop_step(ctx, opts, state, w_, dw_, m_, v_, copy_);
  if (state->overflowed()) return;
  float* const m = opts.momentum != 0 ? m_.as<float>() : nullptr;
  float* const w = w_.as<float>();
  float* const v = v_.as<float>();
  const float factor = state->gradient_factor(), lr = state->lr;
  const auto alpha = static_cast<float>(opts.alpha), rest = static_cast<float>(1.0 - opts.alpha);
  const auto eps = static_cast<float>(opts.eps), decay = static_cast<float>(opts.weight_decay);
  const auto momentum = static_cast<float>(opts.momentum);
  visit_slabs(dw_, copy_, [&](const auto* dw, auto* copy) {
    walk_slab(ctx, w_.numel(), [=](const auto& in, const auto& out) {
      const Vec weight = in(w);
      const Vec g = in(dw)*factor + decay * weight;
      const Vec square = alpha * in(v) + rest * (g * g);
      out(v, square);
      Vec direction = g / (sqrt(square) + eps);
      if (m != nullptr) {
        direction = momentum * in(m) + direction;
        out(m, direction);
      }
      const Vec updated = weight - lr * direction;
      out(w, updated);
      if (copy != nullptr) out(copy, updated);
    });
  });
}

void advance(Context&,
             const AdvanceOpts& opts,
             StepState* state,
             const Tensor& rates,
             const Tensor& momenta) {
  checks::advance(opts, state, rates, momenta);
  state->advance(opts.samples, opts.update);
  if (rates) state->lr = rates.as<float>()[state->step % rates.numel()];
  if (momenta) state->momentum = momenta.as<float>()[state->step % momenta.numel()];
}

}  // namespace lamina::cpu
