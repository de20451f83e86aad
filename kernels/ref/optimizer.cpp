// SGD, Adam and RMSProp over a slab, in f64. Contract: kernels/optimizer.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer.h"

#include <cmath>

#include "kernels/checks.h"

namespace lamina {
namespace {

double factor_of(const StepState* state) {
  return static_cast<double>(state->clip) / static_cast<double>(state->loss_scale);
}

}  // namespace

void ref::sgd_step(Context& ctx,
                   const SgdOpts& opts,
                   const StepState* state,
                   const Tensor& w,
                   const Tensor& dw,
                   const Tensor& m,
                   const Tensor& copy) {
  checks::sgd_step(ctx, opts, state, w, dw, m, copy);
  if (state->overflowed()) return;
  visit_real(w.dtype, "sgd_step", [&]<class T>(T) {
    const double lr = state->lr, factor = factor_of(state);
    const double momentum = state->momentum_or(opts.momentum);
    for (std::int64_t i = 0; i < w.numel(); ++i) {
      const double weight = w.as<T>()[i];
      const double g = dw.as<T>()[i] * factor + opts.weight_decay * weight;
      double direction = g;
      if (opts.momentum != 0) {
        const double velocity = momentum * m.as<T>()[i] + g;
        m.as<T>()[i] = static_cast<T>(velocity);
        direction = opts.nesterov ? g + momentum * velocity : velocity;
      }
      w.as<T>()[i] = static_cast<T>(weight - lr * direction);
      if (copy) copy.as<T>()[i] = w.as<T>()[i];
    }
  });
}

void ref::adam_step(Context& ctx,
                    const AdamOpts& opts,
                    const StepState* state,
                    const Tensor& w,
                    const Tensor& dw,
                    const Tensor& m,
                    const Tensor& v,
                    const Tensor& copy) {
  checks::adam_step(ctx, opts, state, w, dw, m, v, copy);
  if (state->overflowed()) return;
  visit_real(w.dtype, "adam_step", [&]<class T>(T) {
    const double lr = state->lr, factor = factor_of(state);
    const double t = static_cast<double>(state->updates + 1 - state->skipped);
    const double beta1 = state->momentum_or(opts.beta1);
    const double step_size = lr / (1 - std::pow(beta1, t));
    const double v_correction = std::sqrt(1 - std::pow(opts.beta2, t));
    for (std::int64_t i = 0; i < w.numel(); ++i) {
      double weight = w.as<T>()[i];
      double g = dw.as<T>()[i] * factor;
      if (opts.decoupled) {
        weight -= lr * opts.weight_decay * weight;
      } else {
        g += opts.weight_decay * weight;
      }
      const double first = beta1 * m.as<T>()[i] + (1 - beta1) * g;
      const double second = opts.beta2 * v.as<T>()[i] + (1 - opts.beta2) * g * g;
      m.as<T>()[i] = static_cast<T>(first);
      v.as<T>()[i] = static_cast<T>(second);
      w.as<T>()[i] = static_cast<T>(weight - step_size * first /
                                                 (std::sqrt(second) / v_correction + opts.eps));
      if (copy) copy.as<T>()[i] = w.as<T>()[i];
    }
  });
}

void ref::rmsprop_step(Context& ctx,
                       const RmspropOpts& opts,
                       const StepState* state,
                       const Tensor& w,
                       const Tensor& dw,
                       const Tensor& m,
                       const Tensor& v,
                       const Tensor& copy) {
  checks::rmsprop_step(ctx, opts, state, w, dw, m, v, copy);
  if (state->overflowed()) return;
  visit_real(w.dtype, "rmsprop_step", [&]<class T>(T) {
    const double lr = state->lr, factor = factor_of(state);
    for (std::int64_t i = 0; i < w.numel(); ++i) {
      const double weight = w.as<T>()[i];
      const double g = dw.as<T>()[i] * factor + opts.weight_decay * weight;
      const double square = opts.alpha * v.as<T>()[i] + (1 - opts.alpha) * g * g;
      v.as<T>()[i] = static_cast<T>(square);
      double direction = g / (std::sqrt(square) + opts.eps);
      if (opts.momentum != 0) {
        direction += opts.momentum * m.as<T>()[i];
        m.as<T>()[i] = static_cast<T>(direction);
      }
      w.as<T>()[i] = static_cast<T>(weight - lr * direction);
      if (copy) copy.as<T>()[i] = w.as<T>()[i];
    }
  });
}

void ref::advance(Context&,
                  const AdvanceOpts& opts,
                  StepState* state,
                  const Tensor& rates,
                  const Tensor& momenta) {
  checks::advance(opts, state, rates, momenta);
  state->advance(opts.samples, opts.update);
  if (rates) state->lr = rates.as<float>()[state->step % rates.numel()];
  if (momenta) state->momentum = momenta.as<float>()[state->step % momenta.numel()];
}

}  // namespace lamina
