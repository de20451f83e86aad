// What a step does besides the passes: samples in, losses, optimizers.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/checks.h"

#include "kernels/check_args.h"

namespace lamina::checks {

void class_loss(const Context& ctx,
                const LossOpts& opts,
                const Tensor& x,
                const Tensor& labels,
                const Tensor& loss,
                const Tensor& dx,
                const Metrics& metrics,
                const StepState* state) {
  constexpr auto op = "class_loss";
  real(ctx, op, {"x", x});
  const std::int64_t classes = x.shape.per_sample();
  vector(op, {"labels", labels}, DType::i32, x.shape.n);
  vector(op, {"loss", loss}, statistics_dtype(x.dtype), 1);
  if (dx) {
    matrix(op, {"dx", dx}, x.dtype, x.shape.n, classes);
    same_or_apart(op, {"x", x}, {"dx", dx});
  }
  if (metrics.sums) vector(op, {"metrics.sums", metrics.sums}, DType::f64, kMetricSums);
  if (metrics.confusion)
    vector(op, {"metrics.confusion", metrics.confusion}, DType::i64, classes * classes);
  if (metrics.history)
    vector(op, {"metrics.history", metrics.history}, DType::f32, metrics.history.numel());
  if (metrics.history || opts.mixup.active()) has_state(op, state);
  LAMINA_CHECK(opts.smoothing >= 0 && opts.smoothing < 1,
               "{}: a label smoothing of {} is not possible; it must lie in [0, 1).",
               op,
               opts.smoothing);
  LAMINA_CHECK(opts.smoothing == 0 || opts.kind != LossKind::hinge,
               "{}: the hinge has no target to smooth; leave the smoothing at 0.",
               op);
  LAMINA_CHECK(opts.mixup.alpha >= 0 && opts.mixup.alpha <= 1,
               "{}: mixup's alpha is {}; it must lie in (0, 1], or be 0 for no mixup.",
               op,
               opts.mixup.alpha);
}

void labels(const Tensor& labels, std::int64_t classes) {
  for (std::int64_t n = 0; n < labels.numel(); ++n) {
    const std::int32_t label = labels.as<std::int32_t>()[n];
    LAMINA_CHECK(label >= 0 && label < classes,
                 "class_loss: the label of sample {} is {}; it must lie in [0, {}).",
                 n,
                 label,
                 classes);
  }
}

namespace {

// Weights are f32 (f64 on ref); cpu and cuda have 16-bit copies, and gradients of their dtype.
void parameters(const Context& ctx,
                std::string_view op,
                const Tensor& w,
                const Tensor& dw,
                const Tensor& copy) {
  real(ctx, op, {"w", w});
  LAMINA_CHECK(statistics_dtype(w.dtype) == w.dtype,
               "{}: w is {}; parameters are kept in f32.",
               op,
               name_of(w.dtype));
  const bool narrow = ctx.backend() != BackendKind::ref;
  vector(op, {"dw", dw}, narrow && takes(ctx.backend(), dw.dtype) ? dw.dtype : w.dtype, w.numel());
  apart(op, {"w", w}, {"dw", dw});
  if (copy) {
    const bool any = narrow && dw.dtype == w.dtype && takes(ctx.backend(), copy.dtype);
    vector(op, {"copy", copy}, any ? copy.dtype : dw.dtype, w.numel());
    apart(op, {"w", w}, {"copy", copy});
    apart(op, {"dw", dw}, {"copy", copy});
  }
}

}  // namespace

void sgd_step(const Context& ctx,
              const SgdOpts& opts,
              const StepState* state,
              const Tensor& w,
              const Tensor& dw,
              const Tensor& m,
              const Tensor& copy) {
  constexpr auto op = "sgd_step";
  parameters(ctx, op, w, dw, copy);
  if (opts.momentum != 0 || m) vector(op, {"m", m}, w.dtype, w.numel());
  has_state(op, state);
  LAMINA_CHECK(!opts.nesterov || opts.momentum > 0,
               "{}: Nesterov needs a momentum above 0, not {}.",
               op,
               opts.momentum);
}

void adam_step(const Context& ctx,
               const AdamOpts& opts,
               const StepState* state,
               const Tensor& w,
               const Tensor& dw,
               const Tensor& m,
               const Tensor& v,
               const Tensor& copy) {
  constexpr auto op = "adam_step";
  parameters(ctx, op, w, dw, copy);
  for (const Arg& a : {Arg{"m", m}, {"v", v}}) vector(op, a, w.dtype, w.numel());
  apart(op, {"m", m}, {"v", v});
  has_state(op, state);
  LAMINA_CHECK(opts.beta1 >= 0 && opts.beta1 < 1 && opts.beta2 >= 0 && opts.beta2 < 1,
               "{}: beta1 {} and beta2 {} must lie in [0, 1).",
               op,
               opts.beta1,
               opts.beta2);
}

void rmsprop_step(const Context& ctx,
                  const RmspropOpts& opts,
                  const StepState* state,
                  const Tensor& w,
                  const Tensor& dw,
                  const Tensor& m,
                  const Tensor& v,
                  const Tensor& copy) {
  constexpr auto op = "rmsprop_step";
  parameters(ctx, op, w, dw, copy);
  if (opts.momentum != 0 || m) vector(op, {"m", m}, w.dtype, w.numel());
  vector(op, {"v", v}, w.dtype, w.numel());
  if (m) apart(op, {"m", m}, {"v", v});
  has_state(op, state);
  LAMINA_CHECK(
      opts.alpha >= 0 && opts.alpha < 1, "{}: alpha {} must lie in [0, 1).", op, opts.alpha);
}

void lars_step(const Context& ctx,
               const LarsOpts&,
               const StepState* state,
               const Tensor& w,
               const Tensor& dw,
               const Tensor& m,
               const Tensor& copy,
               const Tensor& spans,
               const Tensor& norms) {
  constexpr auto op = "lars_step";
  parameters(ctx, op, w, dw, copy);
  vector(op, {"m", m}, w.dtype, w.numel());
  vector(op, {"spans", spans}, DType::i64, spans.numel());
  vector(op, {"norms", norms}, DType::f64, spans.numel());
  has_state(op, state);
}

void advance(const AdvanceOpts& opts,
             const StepState* state,
             const Tensor& rates,
             const Tensor& momenta) {
  has_state("advance", state);
  LAMINA_CHECK(opts.samples >= 0, "advance: {} samples cannot be negative.", opts.samples);
  for (const Arg& a : {Arg{"rates", rates}, {"momenta", momenta}}) {
    if (a.t) vector("advance", a, DType::f32, a.t.numel());
  }
}

void find_overflow(const Context& ctx, const StepState* state, const Tensor& dw) {
  real(ctx, "find_overflow", {"dw", dw});
  has_state("find_overflow", state);
}

void sum_gradients(const Context& ctx, const Tensor& dw, const Tensor& sum) {
  real(ctx, "sum_gradients", {"dw", dw});
  vector("sum_gradients", {"sum", sum}, statistics_dtype(dw.dtype), dw.numel());
  apart("sum_gradients", {"sum", sum}, {"dw", dw});
}

void clip_gradients(const Context& ctx,
                    const ClipOpts& opts,
                    const StepState* state,
                    const Tensor& dw,
                    const Tensor& norm2) {
  constexpr auto op = "clip_gradients";
  real(ctx, op, {"dw", dw});
  vector(op, {"norm2", norm2}, DType::f64, 1);
  has_state(op, state);
  LAMINA_CHECK(opts.max_norm > 0, "{}: a norm of {} is not positive.", op, opts.max_norm);
}

void ema_step(
    const Context& ctx, double decay, const Tensor& w, const Tensor& ema, const Tensor& copy) {
  constexpr auto op = "ema_step";
  parameters(ctx, op, ema, w, copy);
  LAMINA_CHECK(decay >= 0 && decay < 1, "{}: a decay of {} must lie in [0, 1).", op, decay);
}

namespace {

// Written so that what is not a number fails too.
void augmentation(std::string_view op, const PrepareOpts& opts, std::int64_t channels) {
  constexpr int kMost = 1 << 16;
  const AugmentOpts& augment = opts.augment;
  LAMINA_CHECK(augment.padding >= 0 && augment.padding < kMost,
               "{}: a crop with {} pixels of padding is not possible.",
               op,
               augment.padding);
  LAMINA_CHECK(augment.window >= 0 && augment.window <= 1,
               "{}: a random resized crop of at least {} of the image is not possible; give a "
               "share in (0, 1], or 0 for none.",
               op,
               augment.window);
  LAMINA_CHECK(augment.padding == 0 || augment.window == 0,
               "{}: a crop of the padded image and a random resized crop exclude each other; give "
               "one of them.",
               op);
  LAMINA_CHECK(augment.cutout >= 0 && augment.cutout < kMost,
               "{}: a cutout of {} pixels is not possible.",
               op,
               augment.cutout);
  LAMINA_CHECK(augment.colour >= 0 && augment.colour < kMost,
               "{}: a shift of the colours by {} is not possible; give zero or more.",
               op,
               augment.colour);
  LAMINA_CHECK(augment.colour == 0 || channels == 3,
               "{}: colours can be shifted in images of 3 channels; these have {}.",
               op,
               channels);
  LAMINA_CHECK(opts.mixup.alpha >= 0 && opts.mixup.alpha <= 1,
               "{}: mixup draws its weight with an alpha in (0, 1], or 0 for none, not {}.",
               op,
               opts.mixup.alpha);
}

}  // namespace

void prepare(const Context& ctx,
             const PrepareOpts& opts,
             const StepState* state,
             const Tensor& images,
             const Tensor& labels,
             const Tensor& order,
             const Tensor& x,
             const Tensor& y,
             const Tensor& pixels) {
  constexpr auto op = "prepare";
  real(ctx, op, {"x", x});
  dims(op, {"images", images}, DType::u8, images.shape);
  LAMINA_CHECK(images.shape.c <= x.shape.c,
               "{}: images of {} channels do not fit into x of {}.",
               op,
               images.shape.c,
               x.shape.c);
  vector(op, {"labels", labels}, DType::i32, images.shape.n);
  vector(op, {"order", order}, DType::i32, order.numel());
  vector(op, {"y", y}, DType::i32, x.shape.n);
  has_state(op, state);
  if (pixels) vector(op, {"pixels", pixels}, DType::i32, images.shape.h * images.shape.w);
  augmentation(op, opts, images.shape.c);
  const auto channels = static_cast<std::int64_t>(opts.mean.size());
  LAMINA_CHECK(images.shape.c <= channels,
               "{}: images of {} channels; at most {} can be normalised.",
               op,
               images.shape.c,
               channels);
  for (std::int64_t c = 0; c < images.shape.c; ++c) {
    LAMINA_CHECK(opts.stddev[c] > 0,
                 "{}: the standard deviation of channel {} is {}; it must be positive.",
                 op,
                 c,
                 opts.stddev[c]);
  }
  LAMINA_CHECK(order.numel() >= x.shape.n,
               "{}: a batch of {} from an order of {} samples; use a smaller batch.",
               op,
               x.shape.n,
               order.numel());
}

const std::int32_t* batch_samples(const StepState& state,
                                  const Tensor& order,
                                  std::int64_t batch,
                                  std::int64_t count) {
  LAMINA_CHECK(state.cursor >= 0 && state.cursor + batch <= order.numel(),
               "prepare: {} samples from position {} run past the order's {}.",
               batch,
               state.cursor,
               order.numel());
  const std::int32_t* const samples = order.as<std::int32_t>() + state.cursor;
  for (std::int64_t i = 0; i < batch; ++i)
    LAMINA_CHECK(samples[i] >= 0 && samples[i] < count,
                 "prepare: sample {} of the order is number {}; it must lie in [0, {}).",
                 state.cursor + i,
                 samples[i],
                 count);
  return samples;
}

}  // namespace lamina::checks
