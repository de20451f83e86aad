// SPDX-License-Identifier: Apache-2.0
#include "kernels/checks.h"

#include <cmath>
#include <vector>

#include "kernels/check_args.h"
#include "kernels/concat.h"

namespace lamina::checks {

void accumulate(const Context& ctx, const Tensor& x, const Tensor& y) {
  real(ctx, "accumulate", {"x", x});
  like("accumulate", {"y", y, kSlice}, {"x", x});
  apart("accumulate", {"x", x}, {"y", y});
}

void adaptive_avg_pool_forward(const Context& ctx, const Tensor& x, const Tensor& y) {
  constexpr auto op = "adaptive_avg_pool_forward";
  real(ctx, op, {"x", x});
  dims(op, {"y", y}, x.dtype, {x.shape.n, y.shape.h, y.shape.w, x.shape.c});
  apart(op, {"x", x}, {"y", y});
}

void adaptive_avg_pool_backward(const Context& ctx, const Tensor& dy, const Tensor& dx) {
  constexpr auto op = "adaptive_avg_pool_backward";
  real(ctx, op, {"dx", dx});
  dims(op, {"dy", dy}, dx.dtype, {dx.shape.n, dy.shape.h, dy.shape.w, dx.shape.c});
  apart(op, {"dy", dy}, {"dx", dx});
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
    dims(op, {part_name, tensors[i], kSlice}, whole.t.dtype, shape);
    if (!lies_in(tensors[i], whole.t, sum - channels[i])) apart(op, {part_name, tensors[i]}, whole);
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
    present("concat", {"x", part, kSlice});
    channels.push_back(part.shape.c);
  }
  parts(ctx, "concat", {"y", y, kSlice}, "x", x, channels);
}

void split(const Context& ctx,
           const Tensor& dy,
           std::span<const Tensor> dx,
           std::span<const std::int64_t> channels) {
  parts(ctx, "split", {"dy", dy, kSlice}, "dx", dx, channels);
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

namespace {

void shortcut(std::string_view op, const Tensor& x, const Tensor& z, const Tensor& y) {
  if (!z) return;
  like(op, {"z", z}, {"x", x});
  same_or_apart(op, {"z", z}, {"y", y});
}

}  // namespace

void batch_norm_train(const Context& ctx,
                      const BatchNormOpts& opts,
                      const Tensor& x,
                      const Tensor& z,
                      const BatchNormParams& p,
                      const Tensor& y,
                      const Tensor& mean,
                      const Tensor& invstd) {
  constexpr auto op = "batch_norm_train";
  real(ctx, op, {"x", x, kSlice});
  like(op, {"y", y, kSlice}, {"x", x});
  apart(op, {"x", x}, {"y", y});
  shortcut(op, x, z, y);
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

void batch_norm_apply(const Context& ctx,
                      const Tensor& x,
                      const Tensor& z,
                      const Tensor& gamma,
                      const Tensor& beta,
                      const Tensor& mean,
                      const Tensor& invstd,
                      const Tensor& y) {
  constexpr auto op = "batch_norm_apply";
  real(ctx, op, {"x", x, kSlice});
  like(op, {"y", y, kSlice}, {"x", x});
  apart(op, {"x", x}, {"y", y});
  shortcut(op, x, z, y);
  for (const Arg& a : {Arg{"gamma", gamma}, {"beta", beta}, {"mean", mean}, {"invstd", invstd}})
    vector(op, a, statistics_dtype(x.dtype), x.shape.c);
}

void batch_norm_infer(const Context& ctx,
                      const BatchNormOpts& opts,
                      const Tensor& x,
                      const Tensor& z,
                      const BatchNormParams& p,
                      const Tensor& y) {
  constexpr auto op = "batch_norm_infer";
  real(ctx, op, {"x", x, kSlice});
  like(op, {"y", y, kSlice}, {"x", x});
  same_or_apart(op, {"x", x}, {"y", y});
  shortcut(op, x, z, y);
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
                          const Tensor& dz,
                          const Tensor& dgamma,
                          const Tensor& dbeta) {
  real(ctx, op, {"x", x, kSlice});
  like(op, {"dy", dy, kSlice}, {"x", x});
  if (act != Act::none && (y || dz || !is_rectifier(act))) like(op, {"y", y, kSlice}, {"x", x});
  for (const Arg& a : {Arg{"dx", dx}, {"dz", dz}}) {
    if (!a.t) continue;
    like(op, a, {"x", x});
    same_or_apart(op, a, {"dy", dy});
    apart(op, a, {"x", x});
    apart(op, a, {"y", y});
  }
  apart(op, {"dx", dx}, {"dz", dz});
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
                         const Tensor& beta,
                         const Tensor& mean,
                         const Tensor& invstd,
                         const Tensor& dx,
                         const Tensor& dz,
                         const Tensor& dgamma,
                         const Tensor& dbeta) {
  constexpr auto op = "batch_norm_backward";
  batch_norm_gradients(ctx, op, opts.act, x, y, dy, dx, dz, dgamma, dbeta);
  for (const Arg& a : {Arg{"gamma", gamma}, {"beta", beta}, {"mean", mean}, {"invstd", invstd}})
    vector(op, a, statistics_dtype(x.dtype), x.shape.c);
}

void batch_norm_backward_frozen(const Context& ctx,
                                const BatchNormOpts& opts,
                                const Tensor& x,
                                const Tensor& y,
                                const Tensor& dy,
                                const BatchNormParams& p,
                                const Tensor& dx,
                                const Tensor& dz,
                                const Tensor& dgamma,
                                const Tensor& dbeta) {
  constexpr auto op = "batch_norm_backward_frozen";
  batch_norm_gradients(ctx, op, opts.act, x, y, dy, dx, dz, dgamma, dbeta);
  for (const Arg& a :
       {Arg{"gamma", p.gamma}, {"running_mean", p.running_mean}, {"running_var", p.running_var}})
    vector(op, a, statistics_dtype(x.dtype), x.shape.c);
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

namespace {

void lrn_opts(std::string_view op, const LrnOpts& opts) {
  LAMINA_CHECK(opts.size >= 1 && opts.size <= 64,
               "{}: size {} must lie in [1, 64]; it is a number of channels.",
               op,
               opts.size);
  LAMINA_CHECK(
      opts.k > 0 && opts.alpha >= 0 && std::isfinite(opts.beta),
      "{}: k {} must be positive, alpha {} must not be negative and beta {} must be finite.",
      op,
      opts.k,
      opts.alpha,
      opts.beta);
}

}  // namespace

void lrn_forward(const Context& ctx, const LrnOpts& opts, const Tensor& x, const Tensor& y) {
  constexpr auto op = "lrn_forward";
  lrn_opts(op, opts);
  real(ctx, op, {"x", x});
  like(op, {"y", y}, {"x", x});
  apart(op, {"x", x}, {"y", y});
}

void lrn_backward(
    const Context& ctx, const LrnOpts& opts, const Tensor& x, const Tensor& dy, const Tensor& dx) {
  constexpr auto op = "lrn_backward";
  lrn_opts(op, opts);
  real(ctx, op, {"x", x});
  like(op, {"dy", dy}, {"x", x});
  like(op, {"dx", dx}, {"x", x});
  apart(op, {"x", x}, {"dx", dx});
  apart(op, {"dy", dy}, {"dx", dx});
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
  dims(op, {"y", y, kSlice}, x.dtype, pool_output(opts, x.shape));
  apart(op, {"x", x}, {"y", y});
}

void avg_pool_backward(const Context& ctx,
                       const PoolOpts& opts,
                       const Tensor& dy,
                       const Tensor& dx) {
  constexpr auto op = "pool backward";
  real(ctx, op, {"dx", dx});
  dims(op, {"dy", dy, kSlice}, dx.dtype, pool_output(opts, dx.shape));
  apart(op, {"dy", dy}, {"dx", dx});
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
