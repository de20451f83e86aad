// Batch normalisation with our own kernels: any number of channels, any dtype, f32 statistics.
// The variance is taken from sums around a pivot near the mean, which keeps them small where the
// mean is large (Chan, Golub, LeVeque, "Algorithms for computing the sample
// variance", 1983, https://doi.org/10.1080/00031305.1983.10483115). Contract: kernels/batch_norm.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/batch_norm.h"

#include "kernels/checks.h"
#include "kernels/cuda/act_math.h"
#include "kernels/cuda/channel_sums.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

// Statistics as the passes get them: inverse deviations, or variances with an eps.
struct Statistics {
  const float *mean, *spread;
  float eps;
  bool variance;

  LAMINA_DEVICE float invstd(int c) const {
    return variance ? 1.0f / sqrtf(spread[c] + eps) : spread[c];
  }
};

// The pivot is the mean of eight elements: a single one may lie far out, and its squared distance
// from the mean is what the sums lose in digits.
template <class T>
struct AroundPivot {
  const T* x;
  std::int64_t rows;
  int channels;
  LAMINA_DEVICE float pivot(int c) const {
    constexpr int kSamples = 8;
    float sum = 0.0f;
    for (int i = 0; i < kSamples; ++i) sum += cuda::as_f32(x[rows * i / kSamples * channels + c]);
    return sum * (1.0f / kSamples);
  }
  LAMINA_DEVICE cuda::Pair operator()(std::int64_t row, int c, float pivot) const {
    const float d = cuda::as_f32(x[row * channels + c]) - pivot;
    return {d, d * d};
  }
};

struct Running {
  float *mean, *var;
  std::int64_t* batches;
  float momentum;
};

template <class T>
LAMINA_KERNEL finish_statistics(cuda::ChannelChunks chunks,
                                AroundPivot<T> terms,
                                double eps,
                                Running running,
                                float* mean,
                                float* invstd) {
  const std::int64_t c = cuda::first_thread();
  if (c == 0) ++*running.batches;
  if (c >= chunks.channels) return;
  const cuda::PairF64 sum = chunks.total(static_cast<int>(c));
  const auto rows = static_cast<double>(terms.rows);
  const double offset = sum.a / rows;
  const double squares = sum.b - offset * sum.a;  // around the mean
  const double batch_mean = static_cast<double>(terms.pivot(static_cast<int>(c))) + offset;
  const double var = squares > 0.0 ? squares / rows : 0.0;
  mean[c] = static_cast<float>(batch_mean);
  invstd[c] = static_cast<float>(1.0 / sqrt(var + eps));
  const double blend = static_cast<double>(running.momentum);
  running.mean[c] =
      static_cast<float>((1.0 - blend) * static_cast<double>(running.mean[c]) + blend * batch_mean);
  running.var[c] = static_cast<float>((1.0 - blend) * static_cast<double>(running.var[c]) +
                                      blend * var * rows / (rows - 1.0));
}

template <class T>
LAMINA_KERNEL normalise(const T* x,
                        const T* z,
                        T* y,
                        std::int64_t count,
                        int channels,
                        Act act,
                        Statistics stats,
                        const float* gamma,
                        const float* beta) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const int c = static_cast<int>(i % channels);
    const float centred = cuda::as_f32(x[i]) - stats.mean[c];
    float value = gamma[c] * stats.invstd(c) * centred + beta[c];
    if (z != nullptr) value += cuda::as_f32(z[i]);
    y[i] = cuda::from_f32<T>(cuda::activate(act, value));
  }
}

// g = dy * act'(y), and g times the centred x. On the way g is stored to dz, which may be dy,
// unless dz is null.
template <class T>
struct Gradients {
  const T *x, *y, *dy;
  T* dz;
  int channels;
  Act act;
  Statistics stats;

  LAMINA_DEVICE float g(std::int64_t i) const {
    const float d = cuda::as_f32(dy[i]);
    return act == Act::none ? d : cuda::through_act(act, cuda::as_f32(y[i]), d);
  }
  LAMINA_DEVICE float pivot(int c) const { return stats.mean[c]; }
  LAMINA_DEVICE cuda::Pair operator()(std::int64_t row, int c, float mean) const {
    const std::int64_t i = row * channels + c;
    const float value = g(i);
    if (dz != nullptr) dz[i] = cuda::from_f32<T>(value);
    return {value, value * (cuda::as_f32(x[i]) - mean)};
  }
};

LAMINA_KERNEL finish_gradients(cuda::ChannelChunks chunks,
                               Statistics stats,
                               float* dgamma,
                               float* dbeta) {
  const std::int64_t c = cuda::first_thread();
  if (c >= chunks.channels) return;
  const cuda::PairF64 sum = chunks.total(static_cast<int>(c));
  dbeta[c] = static_cast<float>(sum.a);
  dgamma[c] = static_cast<float>(sum.b * static_cast<double>(stats.invstd(static_cast<int>(c))));
}

// per_row: 1/rows, or 0 with frozen statistics, which no x changes. dx may be dy.
template <class T>
LAMINA_KERNEL differentiate(Gradients<T> terms,
                            T* dx,
                            std::int64_t count,
                            float per_row,
                            const float* gamma,
                            const float* dgamma,
                            const float* dbeta) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const int c = static_cast<int>(i % terms.channels);
    const float invstd = terms.stats.invstd(c);
    const float xhat = (cuda::as_f32(terms.x[i]) - terms.stats.mean[c]) * invstd;
    const float centred = terms.g(i) - per_row * (dbeta[c] + xhat * dgamma[c]);
    dx[i] = cuda::from_f32<T>(gamma[c] * invstd * centred);
  }
}

template <class T>
void backward(Context& ctx,
              const Gradients<T>& terms,
              std::int64_t rows,
              bool frozen,
              const Tensor& gamma,
              const Tensor& dx,
              const Tensor& dgamma,
              const Tensor& dbeta) {
  using namespace cuda;
  const ChannelChunks chunks =
      add_channels(ctx, "batch_norm_backward sums", rows, terms.channels, terms);
  launch(ctx,
         "batch_norm_backward finish",
         blocks_for(terms.channels),
         kBlock,
         finish_gradients,
         chunks,
         terms.stats,
         dgamma.as<float>(),
         dbeta.as<float>());
  if (!dx) return;
  Gradients<T> rest = terms;
  if (terms.dz != nullptr) {  // the sums left g there
    rest.dy = terms.dz;
    rest.act = Act::none;
  }
  launch(ctx,
         "batch_norm_backward dx",
         blocks_for(dx.numel()),
         kBlock,
         differentiate<T>,
         rest,
         dx.as<T>(),
         dx.numel(),
         frozen ? 0.0f : 1.0f / static_cast<float>(rows),
         gamma.as<float>(),
         dgamma.as<float>(),
         dbeta.as<float>());
}

template <class T>
void apply(Context& ctx,
           const Tensor& x,
           const Tensor& z,
           const Tensor& y,
           Act act,
           const Statistics& stats,
           const BatchNormParams& p) {
  cuda::launch(ctx,
               "batch_norm apply",
               cuda::blocks_for(x.numel()),
               cuda::kBlock,
               normalise<T>,
               x.as<T>(),
               z ? z.as<T>() : nullptr,
               y.as<T>(),
               x.numel(),
               static_cast<int>(x.shape.c),
               act,
               stats,
               p.gamma.as<float>(),
               p.beta.as<float>());
}

}  // namespace

void cuda::batch_norm_train(Context& ctx,
                            const BatchNormOpts& opts,
                            const Tensor& x,
                            const Tensor& z,
                            const BatchNormParams& p,
                            const Tensor& y,
                            const Tensor& mean,
                            const Tensor& invstd) {
  checks::batch_norm_train(ctx, opts, x, z, p, y, mean, invstd);
  const std::int64_t rows = x.numel() / x.shape.c;
  visit_compute(x.dtype, "batch_norm_train", [&]<class T>(T) {
    const AroundPivot<T> terms{x.as<T>(), rows, static_cast<int>(x.shape.c)};
    const ChannelChunks chunks = add_channels(ctx, "batch_norm sums", rows, x.shape.c, terms);
    const Running running{p.running_mean.as<float>(),
                          p.running_var.as<float>(),
                          p.num_batches_tracked.as<std::int64_t>(),
                          static_cast<float>(opts.momentum)};
    launch(ctx,
           "batch_norm finish",
           blocks_for(x.shape.c),
           kBlock,
           finish_statistics<T>,
           chunks,
           terms,
           opts.eps,
           running,
           mean.as<float>(),
           invstd.as<float>());
    apply<T>(ctx, x, z, y, opts.act, {mean.as<float>(), invstd.as<float>(), 0.0f, false}, p);
  });
}

void cuda::batch_norm_infer(Context& ctx,
                            const BatchNormOpts& opts,
                            const Tensor& x,
                            const Tensor& z,
                            const BatchNormParams& p,
                            const Tensor& y) {
  checks::batch_norm_infer(ctx, opts, x, z, p, y);
  const Statistics stats{
      p.running_mean.as<float>(), p.running_var.as<float>(), static_cast<float>(opts.eps), true};
  visit_compute(
      x.dtype, "batch_norm_infer", [&]<class T>(T) { apply<T>(ctx, x, z, y, opts.act, stats, p); });
}

void cuda::batch_norm_backward(Context& ctx,
                               const BatchNormOpts& opts,
                               const Tensor& x,
                               const Tensor& y,
                               const Tensor& dy,
                               const Tensor& gamma,
                               const Tensor& mean,
                               const Tensor& invstd,
                               const Tensor& dx,
                               const Tensor& dz,
                               const Tensor& dgamma,
                               const Tensor& dbeta) {
  checks::batch_norm_backward(ctx, opts, x, y, dy, gamma, mean, invstd, dx, dz, dgamma, dbeta);
  visit_compute(x.dtype, "batch_norm_backward", [&]<class T>(T) {
    const Gradients<T> terms{x.as<T>(),
                             y ? y.as<T>() : nullptr,
                             dy.as<T>(),
                             dz ? dz.as<T>() : nullptr,
                             static_cast<int>(x.shape.c),
                             opts.act,
                             {mean.as<float>(), invstd.as<float>(), 0.0f, false}};
    backward(ctx, terms, x.numel() / x.shape.c, false, gamma, dx, dgamma, dbeta);
  });
}

void cuda::batch_norm_backward_frozen(Context& ctx,
                                      const BatchNormOpts& opts,
                                      const Tensor& x,
                                      const Tensor& y,
                                      const Tensor& dy,
                                      const BatchNormParams& p,
                                      const Tensor& dx,
                                      const Tensor& dz,
                                      const Tensor& dgamma,
                                      const Tensor& dbeta) {
  checks::batch_norm_backward_frozen(ctx, opts, x, y, dy, p, dx, dz, dgamma, dbeta);
  visit_compute(x.dtype, "batch_norm_backward_frozen", [&]<class T>(T) {
    const Gradients<T> terms{x.as<T>(),
                             y ? y.as<T>() : nullptr,
                             dy.as<T>(),
                             dz ? dz.as<T>() : nullptr,
                             static_cast<int>(x.shape.c),
                             opts.act,
                             {p.running_mean.as<float>(),
                              p.running_var.as<float>(),
                              static_cast<float>(opts.eps),
                              true}};
    backward(ctx, terms, x.numel() / x.shape.c, true, p.gamma, dx, dgamma, dbeta);
  });
}

}  // namespace lamina
