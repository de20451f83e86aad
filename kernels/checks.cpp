// SPDX-License-Identifier: Apache-2.0
#include "kernels/checks.h"

#include <vector>

#include "kernels/check_args.h"

namespace lamina::checks {

void accumulate(const Context& ctx, const Tensor& x, const Tensor& y) {
  real(ctx, "accumulate", {"x", x});
  like("accumulate", {"y", y}, {"x", x});
  apart("accumulate", {"x", x}, {"y", y});
}

void add_forward(const Context& ctx, const Tensor& a, const Tensor& b, const Tensor& y) {
  constexpr auto op = "add_forward";
  real(ctx, op, {"a", a});
  like(op, {"b", b}, {"a", a});
  like(op, {"y", y}, {"a", a});
  same_or_apart(op, {"a", a}, {"y", y});
  same_or_apart(op, {"b", b}, {"y", y});
}

void add_backward(const Context& ctx,
                  Act act,
                  const Tensor& y,
                  const Tensor& dy,
                  const Tensor& da,
                  const Tensor& db) {
  constexpr auto op = "add_backward";
  real(ctx, op, {"dy", dy});
  if (act != Act::none) like(op, {"y", y}, {"dy", dy});
  for (const Arg& a : {Arg{"da", da}, {"db", db}}) {
    if (!a.t) continue;
    like(op, a, {"dy", dy});
    same_or_apart(op, a, {"dy", dy});
    if (act != Act::none) apart(op, a, {"y", y});
  }
  if (da && db) apart(op, {"da", da}, {"db", db});
}

namespace {

// The parts of a concatenation, and the whole they make.
void parts(const Context& ctx,
           std::string_view op,
           const Arg& whole,
           const char* part_name,
           std::span<const Tensor> tensors,
           std::span<const std::int64_t> channels) {
  real(ctx, op, whole);
  LAMINA_CHECK(!tensors.empty() && tensors.size() == channels.size(),
               "{}: {} parts and {} channel counts were given; there must be one for each.",
               op,
               tensors.size(),
               channels.size());
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    Shape shape = whole.t.shape;
    shape.c = channels[i];
    sum += channels[i];
    if (!tensors[i]) continue;
    dims(op, {part_name, tensors[i]}, whole.t.dtype, shape);
    apart(op, {part_name, tensors[i]}, whole);
  }
  LAMINA_CHECK(sum == whole.t.shape.c,
               "{}: the parts have {} channels together but {} has {}.",
               op,
               sum,
               whole.name,
               whole.t.shape.c);
}

}  // namespace

void concat(const Context& ctx, std::span<const Tensor> x, const Tensor& y) {
  std::vector<std::int64_t> channels;
  for (const Tensor& part : x) {
    present("concat", {"x", part});
    channels.push_back(part.shape.c);
  }
  parts(ctx, "concat", {"y", y}, "x", x, channels);
}

void split(const Context& ctx,
           const Tensor& dy,
           std::span<const Tensor> dx,
           std::span<const std::int64_t> channels) {
  parts(ctx, "split", {"dy", dy}, "dx", dx, channels);
}

void act_forward(const Context& ctx, const Tensor& x, const Tensor& y) {
  real(ctx, "act_forward", {"x", x});
  like("act_forward", {"y", y}, {"x", x});
  same_or_apart("act_forward", {"x", x}, {"y", y});
}

void act_backward(const Context& ctx, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  constexpr auto op = "act_backward";
  real(ctx, op, {"y", y});
  like(op, {"dy", dy}, {"y", y});
  like(op, {"dx", dx}, {"y", y});
  same_or_apart(op, {"dx", dx}, {"dy", dy});
  apart(op, {"dx", dx}, {"y", y});
}

void batch_norm_train(const Context& ctx,
                      const BatchNormOpts& opts,
                      const Tensor& x,
                      const BatchNormParams& p,
                      const Tensor& y,
                      const Tensor& mean,
                      const Tensor& invstd) {
  constexpr auto op = "batch_norm_train";
  real(ctx, op, {"x", x});
  like(op, {"y", y}, {"x", x});
  apart(op, {"x", x}, {"y", y});
  const DType stat = statistics_dtype(x.dtype);
  const std::int64_t c = x.shape.c;
  for (const Arg& a : {Arg{"gamma", p.gamma},
                       {"beta", p.beta},
                       {"running_mean", p.running_mean},
                       {"running_var", p.running_var},
                       {"mean", mean},
                       {"invstd", invstd}})
    vector(op, a, stat, c);
  vector(op, {"num_batches_tracked", p.num_batches_tracked}, DType::i64, 1);
  LAMINA_CHECK(x.numel() > c,
               "{}: x is {}, one value a channel, which has no variance; use a larger batch or "
               "drop the last one.",
               op,
               x.shape.to_string());
  LAMINA_CHECK(opts.eps >= 0 && opts.momentum >= 0 && opts.momentum <= 1,
               "{}: eps {} must not be negative and momentum {} must lie in [0, 1].",
               op,
               opts.eps,
               opts.momentum);
}

void batch_norm_infer(const Context& ctx,
                      const BatchNormOpts& opts,
                      const Tensor& x,
                      const BatchNormParams& p,
                      const Tensor& y) {
  constexpr auto op = "batch_norm_infer";
  real(ctx, op, {"x", x});
  like(op, {"y", y}, {"x", x});
  same_or_apart(op, {"x", x}, {"y", y});
  for (const Arg& a : {Arg{"gamma", p.gamma},
                       {"beta", p.beta},
                       {"running_mean", p.running_mean},
                       {"running_var", p.running_var}})
    vector(op, a, statistics_dtype(x.dtype), x.shape.c);
  LAMINA_CHECK(opts.eps >= 0, "{}: eps {} must not be negative.", op, opts.eps);
}

namespace {

// What the two batch norm backward passes have in common.
void batch_norm_gradients(const Context& ctx,
                          std::string_view op,
                          Act act,
                          const Tensor& x,
                          const Tensor& y,
                          const Tensor& dy,
                          const Tensor& dx,
                          const Tensor& dgamma,
                          const Tensor& dbeta) {
  real(ctx, op, {"x", x});
  like(op, {"dy", dy}, {"x", x});
  if (act != Act::none) like(op, {"y", y}, {"x", x});
  if (dx) {
    like(op, {"dx", dx}, {"x", x});
    same_or_apart(op, {"dx", dx}, {"dy", dy});
    apart(op, {"dx", dx}, {"x", x});
    apart(op, {"dx", dx}, {"y", y});
  }
  vector(op, {"dgamma", dgamma}, statistics_dtype(x.dtype), x.shape.c);
  vector(op, {"dbeta", dbeta}, statistics_dtype(x.dtype), x.shape.c);
}

}  // namespace

void batch_norm_backward(const Context& ctx,
                         const BatchNormOpts& opts,
                         const Tensor& x,
                         const Tensor& y,
                         const Tensor& dy,
                         const Tensor& gamma,
                         const Tensor& mean,
                         const Tensor& invstd,
                         const Tensor& dx,
                         const Tensor& dgamma,
                         const Tensor& dbeta) {
  constexpr auto op = "batch_norm_backward";
  batch_norm_gradients(ctx, op, opts.act, x, y, dy, dx, dgamma, dbeta);
  for (const Arg& a : {Arg{"gamma", gamma}, {"mean", mean}, {"invstd", invstd}})
    vector(op, a, statistics_dtype(x.dtype), x.shape.c);
}

void batch_norm_backward_frozen(const Context& ctx,
                                const BatchNormOpts& opts,
                                const Tensor& x,
                                const Tensor& y,
                                const Tensor& dy,
                                const BatchNormParams& p,
                                const Tensor& dx,
                                const Tensor& dgamma,
                                const Tensor& dbeta) {
  constexpr auto op = "batch_norm_backward_frozen";
  batch_norm_gradients(ctx, op, opts.act, x, y, dy, dx, dgamma, dbeta);
  for (const Arg& a :
       {Arg{"gamma", p.gamma}, {"running_mean", p.running_mean}, {"running_var", p.running_var}})
    vector(op, a, statistics_dtype(x.dtype), x.shape.c);
}

void conv2d(const Context& ctx, const Conv2dDesc& desc) {
  LAMINA_CHECK(takes(ctx.backend(), desc.dtype),
               "conv2d: dtype {} is not one the {} backend computes in; use f32.",
               name_of(desc.dtype),
               name_of(ctx.backend()));
  LAMINA_CHECK(desc.x.n > 0 && desc.x.h > 0 && desc.x.w > 0 && desc.x.c > 0,
               "conv2d: the input is {}; every dimension must be at least 1.",
               desc.x.to_string());
  desc.y();
}

namespace {

// `has_bias` is what the plan was made for; a bias given to a plan without one would be ignored.
void bias(std::string_view op, bool has_bias, const Arg& b, DType dtype, std::int64_t k) {
  if (has_bias) {
    vector(op, b, dtype, k);
  } else {
    LAMINA_CHECK(!b.t, "{}: {} was given to a plan made without bias.", op, b.name);
  }
}

void planned(std::string_view op, bool pass) {
  LAMINA_CHECK(pass, "{}: the plan was made without this pass; ask for it in the description.", op);
}

}  // namespace

void conv2d_forward(
    const Conv2dDesc& desc, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y) {
  constexpr auto op = "conv2d forward";
  dims(op, {"x", x}, desc.dtype, desc.x);
  vector(op, {"w", w}, desc.dtype, desc.weights());
  bias(op, desc.bias, {"b", b}, desc.dtype, desc.k);
  dims(op, {"y", y}, desc.dtype, desc.y());
  apart(op, {"x", x}, {"y", y});
}

void conv2d_backward_data(const Conv2dDesc& desc,
                          const Tensor& dy,
                          const Tensor& w,
                          const Tensor& dx) {
  constexpr auto op = "conv2d backward_data";
  planned(op, desc.backward_data);
  dims(op, {"dy", dy}, desc.dtype, desc.y());
  vector(op, {"w", w}, desc.dtype, desc.weights());
  dims(op, {"dx", dx}, desc.dtype, desc.x);
  apart(op, {"dy", dy}, {"dx", dx});
}

void conv2d_backward_weights(
    const Conv2dDesc& desc, const Tensor& x, const Tensor& dy, const Tensor& dw, const Tensor& db) {
  constexpr auto op = "conv2d backward_weights";
  planned(op, desc.backward_weights);
  dims(op, {"x", x}, desc.dtype, desc.x);
  dims(op, {"dy", dy}, desc.dtype, desc.y());
  vector(op, {"dw", dw}, desc.dtype, desc.weights());
  if (db || !desc.bias) bias(op, desc.bias, {"db", db}, desc.dtype, desc.k);
}

void dropout(const Context& ctx,
             const DropoutOpts& opts,
             const StepState* state,
             const Tensor& x,
             const Tensor& y) {
  real(ctx, "dropout", {"x", x});
  like("dropout", {"y", y}, {"x", x});
  same_or_apart("dropout", {"x", x}, {"y", y});
  has_state("dropout", state);
  LAMINA_CHECK(opts.p >= 0 && opts.p <= 1, "dropout: p {} must lie in [0, 1].", opts.p);
}

void linear(const Context& ctx, const LinearDesc& desc) {
  LAMINA_CHECK(takes(ctx.backend(), desc.dtype),
               "linear: dtype {} is not one the {} backend computes in; use f32.",
               name_of(desc.dtype),
               name_of(ctx.backend()));
  LAMINA_CHECK(desc.n > 0 && desc.in > 0 && desc.k > 0,
               "linear: {} samples, {} inputs and {} outputs must all be at least 1.",
               desc.n,
               desc.in,
               desc.k);
}

void linear_forward(
    const LinearDesc& desc, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y) {
  constexpr auto op = "linear forward";
  matrix(op, {"x", x}, desc.dtype, desc.n, desc.in);
  vector(op, {"w", w}, desc.dtype, desc.k * desc.in);
  bias(op, desc.bias, {"b", b}, desc.dtype, desc.k);
  matrix(op, {"y", y}, desc.dtype, desc.n, desc.k);
  apart(op, {"x", x}, {"y", y});
}

void linear_backward_data(const LinearDesc& desc,
                          const Tensor& dy,
                          const Tensor& w,
                          const Tensor& dx) {
  constexpr auto op = "linear backward_data";
  planned(op, desc.backward_data);
  matrix(op, {"dy", dy}, desc.dtype, desc.n, desc.k);
  vector(op, {"w", w}, desc.dtype, desc.k * desc.in);
  matrix(op, {"dx", dx}, desc.dtype, desc.n, desc.in);
  apart(op, {"dy", dy}, {"dx", dx});
}

void linear_backward_weights(
    const LinearDesc& desc, const Tensor& x, const Tensor& dy, const Tensor& dw, const Tensor& db) {
  constexpr auto op = "linear backward_weights";
  planned(op, desc.backward_weights);
  matrix(op, {"x", x}, desc.dtype, desc.n, desc.in);
  matrix(op, {"dy", dy}, desc.dtype, desc.n, desc.k);
  vector(op, {"dw", dw}, desc.dtype, desc.k * desc.in);
  if (db || !desc.bias) bias(op, desc.bias, {"db", db}, desc.dtype, desc.k);
}

void loss(const Context& ctx,
          std::string_view op,
          const Tensor& x,
          const Tensor& labels,
          const Tensor& loss,
          const Tensor& dx,
          const Metrics& metrics) {
  real(ctx, op, {"x", x});
  const std::int64_t classes = x.shape.per_sample();
  vector(op, {"labels", labels}, DType::i32, x.shape.n);
  vector(op, {"loss", loss}, statistics_dtype(x.dtype), 1);
  if (dx) {
    matrix(op, {"dx", dx}, x.dtype, x.shape.n, classes);
    same_or_apart(op, {"x", x}, {"dx", dx});
  }
  if (metrics.sums) vector(op, {"metrics.sums", metrics.sums}, DType::f64, 3);
  if (metrics.confusion)
    vector(op, {"metrics.confusion", metrics.confusion}, DType::i64, classes * classes);
}

namespace {

// Weights are f32 (f64 on ref); only cuda has 16-bit gradients and copies.
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
  const bool narrow = ctx.backend() == BackendKind::cuda && dw && takes(ctx.backend(), dw.dtype);
  vector(op, {"dw", dw}, narrow ? dw.dtype : w.dtype, w.numel());
  apart(op, {"w", w}, {"dw", dw});
  if (copy) {
    vector(op, {"copy", copy}, dw.dtype, w.numel());
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

void find_overflow(const Context& ctx, const StepState* state, const Tensor& dw) {
  real(ctx, "find_overflow", {"dw", dw});
  has_state("find_overflow", state);
}

void advance(const StepState* state, std::int64_t samples) {
  has_state("advance", state);
  LAMINA_CHECK(samples >= 0, "advance: {} samples cannot be negative.", samples);
}

void max_pool_forward(
    const Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y, const Tensor& idx) {
  constexpr auto op = "max_pool_forward";
  avg_pool_forward(ctx, opts, x, y);
  if (idx) dims(op, {"idx", idx}, DType::u8, y.shape);
}

void max_pool_backward(const Context& ctx,
                       const PoolOpts& opts,
                       const Tensor& dy,
                       const Tensor& idx,
                       const Tensor& dx) {
  avg_pool_backward(ctx, opts, dy, dx);
  dims("max_pool_backward", {"idx", idx}, DType::u8, dy.shape);
}

void avg_pool_forward(const Context& ctx, const PoolOpts& opts, const Tensor& x, const Tensor& y) {
  constexpr auto op = "pool forward";
  real(ctx, op, {"x", x});
  dims(op, {"y", y}, x.dtype, pool_output(opts, x.shape));
  apart(op, {"x", x}, {"y", y});
}

void avg_pool_backward(const Context& ctx,
                       const PoolOpts& opts,
                       const Tensor& dy,
                       const Tensor& dx) {
  constexpr auto op = "pool backward";
  real(ctx, op, {"dx", dx});
  dims(op, {"dy", dy}, dx.dtype, pool_output(opts, dx.shape));
  apart(op, {"dy", dy}, {"dx", dx});
}

void prepare(const Context& ctx,
             const PrepareOpts& opts,
             const StepState* state,
             const Tensor& images,
             const Tensor& labels,
             const Tensor& order,
             const Tensor& x,
             const Tensor& y) {
  constexpr auto op = "prepare";
  real(ctx, op, {"x", x});
  dims(op,
       {"images", images},
       DType::u8,
       {images.shape.n, images.shape.h, images.shape.w, x.shape.c});
  vector(op, {"labels", labels}, DType::i32, images.shape.n);
  vector(op, {"order", order}, DType::i32, order.numel());
  vector(op, {"y", y}, DType::i32, x.shape.n);
  has_state(op, state);
  const auto channels = static_cast<std::int64_t>(opts.mean.size());
  LAMINA_CHECK(x.shape.c <= channels,
               "{}: images of {} channels; at most {} can be normalised.",
               op,
               x.shape.c,
               channels);
  for (std::int64_t c = 0; c < x.shape.c; ++c) {
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

void softmax_forward(const Context& ctx, std::string_view op, const Tensor& x, const Tensor& y) {
  real(ctx, op, {"x", x});
  matrix(op, {"y", y}, x.dtype, x.shape.n, x.shape.per_sample());
  same_or_apart(op, {"x", x}, {"y", y});
}

void softmax_backward(
    const Context& ctx, std::string_view op, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  real(ctx, op, {"y", y});
  matrix(op, {"dy", dy}, y.dtype, y.shape.n, y.shape.per_sample());
  matrix(op, {"dx", dx}, y.dtype, y.shape.n, y.shape.per_sample());
  same_or_apart(op, {"dx", dx}, {"dy", dy});
  apart(op, {"dx", dx}, {"y", y});
}

void upsample_forward(const Context& ctx, const Tensor& x, const Tensor& y) {
  constexpr auto op = "upsample_forward";
  real(ctx, op, {"x", x});
  dims(op, {"y", y}, x.dtype, {x.shape.n, y.shape.h, y.shape.w, x.shape.c});
  apart(op, {"x", x}, {"y", y});
}

void upsample_backward(const Context& ctx, const Tensor& dy, const Tensor& dx) {
  constexpr auto op = "upsample_backward";
  real(ctx, op, {"dx", dx});
  dims(op, {"dy", dy}, dx.dtype, {dx.shape.n, dy.shape.h, dy.shape.w, dx.shape.c});
  apart(op, {"dy", dy}, {"dx", dx});
}

}  // namespace lamina::checks
