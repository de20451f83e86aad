// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer.h"

#include <algorithm>
#include <cmath>

#include "kernels/checks.h"
#include "kernels/cpu/flush_denormals.h"
#include "kernels/cpu/pointwise.h"

namespace lamina::cpu {
namespace {

LAMINA_INLINE Vec sqrt(const Vec& x) {
  Vec y;
  for (int i = 0; i < kLanes; ++i) y[i] = std::sqrt(x[i]);
  return y;
}

// One pass over the slab: body(in, out) has to work on sixteen elements, or on those that are left;
// in(p) reads them from a tensor, out(p, v) writes them.
template <class Body>
void update(const Context& ctx, std::int64_t count, const Body& body) {
  parallel_for(ctx, count, kPointwiseGrain, [&](std::int64_t begin, std::int64_t end) {
    const FlushDenormals flush;
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes)
      body([i](const float* p) { return load(p + i); },
           [i](float* p, const Vec& v) { store(p + i, v); });
    const std::int64_t rest = end - i;
    if (rest > 0)
      body([i, rest](const float* p) { return load_part(p + i, rest); },
           [i, rest](float* p, const Vec& v) { store_part(p + i, v, rest); });
  });
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
  float* const copy = copy_ ? copy_.as<float>() : nullptr;
  const float unscale = 1.0f / state->loss_scale;
  float* const w = w_.as<float>();
  const float* const dw = dw_.as<float>();
  const float lr = state->lr;
  const auto decay = static_cast<float>(opts.weight_decay);
  const auto momentum = static_cast<float>(opts.momentum);
  if (momentum == 0.0f) {
    update(ctx, w_.numel(), [=](const auto& in, const auto& out) {
      const Vec weight = in(w);
      const Vec updated = weight - lr * (in(dw)*unscale + decay * weight);
      out(w, updated);
      if (copy != nullptr) out(copy, updated);
    });
    return;
  }
  float* const m = m_.as<float>();
  const bool nesterov = opts.nesterov;
  update(ctx, w_.numel(), [=](const auto& in, const auto& out) {
    const Vec weight = in(w);
    const Vec g = in(dw)*unscale + decay * weight;
    const Vec velocity = momentum * in(m) + g;
    out(m, velocity);
    const Vec updated = weight - lr * (nesterov ? g + momentum * velocity : velocity);
    out(w, updated);
    if (copy != nullptr) out(copy, updated);
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
  float* const copy = copy_ ? copy_.as<float>() : nullptr;
  const float unscale = 1.0f / state->loss_scale;
  float* const w = w_.as<float>();
  const float* const dw = dw_.as<float>();
  float* const m = m_.as<float>();
  float* const v = v_.as<float>();
  const auto t = static_cast<double>(state->step + 1 - state->skipped);
  const auto beta1 = static_cast<float>(opts.beta1), beta2 = static_cast<float>(opts.beta2);
  const auto rest1 = static_cast<float>(1.0 - opts.beta1);
  const auto rest2 = static_cast<float>(1.0 - opts.beta2);
  const auto step_size = static_cast<float>(state->lr / (1.0 - std::pow(opts.beta1, t)));
  const auto v_scale = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(opts.beta2, t)));
  const auto eps = static_cast<float>(opts.eps);
  const auto decay = static_cast<float>(opts.decoupled ? 0.0 : opts.weight_decay);
  const auto keep = static_cast<float>(opts.decoupled ? 1.0 - state->lr * opts.weight_decay : 1.0);
  update(ctx, w_.numel(), [=](const auto& in, const auto& out) {
    const Vec weight = in(w);
    const Vec g = in(dw)*unscale + decay * weight;
    const Vec first = beta1 * in(m) + rest1 * g;
    const Vec second = beta2 * in(v) + rest2 * (g * g);
    out(m, first);
    out(v, second);
    const Vec updated = keep * weight - step_size * (first / (sqrt(second) * v_scale + eps));
    out(w, updated);
    if (copy != nullptr) out(copy, updated);
  });
}

void find_overflow(Context& ctx, StepState* state, const Tensor& dw, std::int64_t first) {
  checks::find_overflow(ctx, state, dw);
  const float* const begin = dw.as<float>();
  const float* const end = begin + dw.numel();
  const float* const bad = std::find_if(begin, end, [](float v) { return !std::isfinite(v); });
  if (bad != end) state->overflow_at = std::min(state->overflow_at, first + (bad - begin));
}

void advance(Context&, StepState* state, std::int64_t samples) {
  checks::advance(state, samples);
  state->advance(samples);
}

}  // namespace lamina::cpu
