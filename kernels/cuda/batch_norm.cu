// Batch normalisation with our own kernels: any number of channels, any dtype, f32 statistics.
// The variance is taken from sums around a pivot near the mean, which keeps them small where the
// mean is large (Chan, Golub, LeVeque, "Algorithms for computing the sample
// variance", 1983, https://doi.org/10.1080/00031305.1983.10483115). Contract: kernels/batch_norm.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/batch_norm.h"

#include "kernels/checks.h"
#include "kernels/cuda/act_math.h"
#include "kernels/cuda/channel_rows.h"
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
  cuda::Rows<const T> x;
  std::int64_t rows;
  LAMINA_DEVICE float pivot(int c) const {
    constexpr int kSamples = 8;
    float sum = 0.0f;
    for (int i = 0; i < kSamples; ++i) sum += cuda::as_f32(*x.at(rows * i / kSamples, c));
    return sum * (1.0f / kSamples);
  }
  LAMINA_DEVICE cuda::Pair operator()(std::int64_t row, int c, float pivot) const {
    const float d = cuda::as_f32(*x.at(row, c)) - pivot;
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

// z may be null.
template <int width, class T>
LAMINA_KERNEL normalise(cuda::RowSize size,
                        cuda::Rows<const T> x,
                        cuda::Rows<const T> z,
                        cuda::Rows<T> y,
                        Act act,
                        Statistics stats,
                        const float* gamma,
                        const float* beta) {
  const cuda::RowWalk at = cuda::row_walk<width>(size);
  if (at.row >= at.end) return;
  float mean[width], scale[width], shift[width];
  for (int j = 0; j < width; ++j) {
    const int c = at.channel + j;
    mean[j] = stats.mean[c];
    scale[j] = gamma[c] * stats.invstd(c);
    shift[j] = beta[c];
  }
  for (std::int64_t row = at.row; row < at.end; row += at.step) {
    auto pack = x.template load<width>(row, at.channel);
    cuda::Pack<T, width> shortcut{};
    if (z.data != nullptr) shortcut = z.template load<width>(row, at.channel);
    for (int j = 0; j < width; ++j) {
      float value = scale[j] * (cuda::as_f32(pack.v[j]) - mean[j]) + shift[j];
      if (z.data != nullptr) value += cuda::as_f32(shortcut.v[j]);
      pack.v[j] = cuda::from_f32<T>(cuda::activate(act, value));
    }
    y.template store<width>(row, at.channel, pack);
  }
}

// g = dy * act'(y), and g times the centred x. On the way g is stored to dz, which may be dy,
// unless dz is null.
template <class T>
struct Gradients {
  cuda::Rows<const T> x, y, dy;
  cuda::Rows<T> dz;
  Act act;
  Statistics stats;

  LAMINA_DEVICE float pivot(int c) const { return stats.mean[c]; }
  LAMINA_DEVICE cuda::Pair operator()(std::int64_t row, int c, float mean) const {
    float g = cuda::as_f32(*dy.at(row, c));
    if (act != Act::none) g = cuda::through_act(act, cuda::as_f32(*y.at(row, c)), g);
    if (dz.data != nullptr) *dz.at(row, c) = cuda::from_f32<T>(g);
    return {g, g * (cuda::as_f32(*x.at(row, c)) - mean)};
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
template <int width, class T>
LAMINA_KERNEL differentiate(cuda::RowSize size,
                            Gradients<T> terms,
                            cuda::Rows<T> dx,
                            float per_row,
                            const float* gamma,
                            const float* dgamma,
                            const float* dbeta) {
  const cuda::RowWalk at = cuda::row_walk<width>(size);
  if (at.row >= at.end) return;
  // dx = scale * (g - offset - (x - mean) * slope)
  float mean[width], scale[width], offset[width], slope[width];
  for (int j = 0; j < width; ++j) {
    const int c = at.channel + j;
    const float invstd = terms.stats.invstd(c);
    mean[j] = terms.stats.mean[c];
    scale[j] = gamma[c] * invstd;
    offset[j] = per_row * dbeta[c];
    slope[j] = per_row * dgamma[c] * invstd;
  }
  const Act act = terms.act;
  for (std::int64_t row = at.row; row < at.end; row += at.step) {
    auto x = terms.x.template load<width>(row, at.channel);
    const auto dy = terms.dy.template load<width>(row, at.channel);
    cuda::Pack<T, width> y{};
    if (act != Act::none) y = terms.y.template load<width>(row, at.channel);
    for (int j = 0; j < width; ++j) {
      float g = cuda::as_f32(dy.v[j]);
      if (act != Act::none) g = cuda::through_act(act, cuda::as_f32(y.v[j]), g);
      const float centred = cuda::as_f32(x.v[j]) - mean[j];
      x.v[j] = cuda::from_f32<T>(scale[j] * (g - offset[j] - centred * slope[j]));
    }
    dx.template store<width>(row, at.channel, x);
  }
}

// x as the pass got it, whose shape all maps have.
template <class T>
void backward(Context& ctx,
              const Gradients<T>& terms,
              const Tensor& x,
              const Tensor& y,
              const Tensor& dy,
              bool frozen,
              const Tensor& gamma,
              const Tensor& dx,
              const Tensor& dz,
              const Tensor& dgamma,
              const Tensor& dbeta) {
  using namespace cuda;
  const std::int64_t pixels = x.rows(), channels = x.shape.c;
  const ChannelChunks chunks =
      add_channels(ctx, "batch_norm_backward sums", pixels, channels, terms);
  launch(ctx,
         "batch_norm_backward finish",
         blocks_for(channels),
         kBlock,
         finish_gradients,
         chunks,
         terms.stats,
         dgamma.as<float>(),
         dbeta.as<float>());
  if (!dx) return;
  Gradients<T> rest = terms;
  if (dz) {  // the sums left g there
    rest.dy = {terms.dz.data, terms.dz.row};
    rest.act = Act::none;
  }
  const auto rows = row_launch<T>(pixels, channels, {x, y, dz ? dz : dy, dx});
  rows.visit([&]<int width>(std::integral_constant<int, width>) {
    launch(ctx,
           "batch_norm_backward dx",
           rows.grid,
           kBlock,
           differentiate<width, T>,
           rows.size,
           rest,
           rows_of<T>(dx),
           frozen ? 0.0f : 1.0f / static_cast<float>(pixels),
           gamma.as<float>(),
           dgamma.as<float>(),
           dbeta.as<float>());
  });
}

template <class T>
void apply(Context& ctx,
           const Tensor& x,
           const Tensor& z,
           const Tensor& y,
           Act act,
           const Statistics& stats,
           const BatchNormParams& p) {
  const auto rows = cuda::row_launch<T>(x.rows(), x.shape.c, {x, z, y});
  rows.visit([&]<int width>(std::integral_constant<int, width>) {
    cuda::launch(ctx,
                 "batch_norm apply",
                 rows.grid,
                 cuda::kBlock,
                 normalise<width, T>,
                 rows.size,
                 cuda::rows_of<const T>(x),
                 cuda::rows_of<const T>(z),
                 cuda::rows_of<T>(y),
                 act,
                 stats,
                 p.gamma.as<float>(),
                 p.beta.as<float>());
  });
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
  const std::int64_t rows = x.rows();
  visit_compute(x.dtype, "batch_norm_train", [&]<class T>(T) {
    const AroundPivot<T> terms{rows_of<const T>(x), rows};
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
    const Gradients<T> terms{rows_of<const T>(x),
                             rows_of<const T>(y),
                             rows_of<const T>(dy),
                             rows_of<T>(dz),
                             opts.act,
                             {mean.as<float>(), invstd.as<float>(), 0.0f, false}};
    backward(ctx, terms, x, y, dy, false, gamma, dx, dz, dgamma, dbeta);
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
    const Gradients<T> terms{rows_of<const T>(x),
                             rows_of<const T>(y),
                             rows_of<const T>(dy),
                             rows_of<T>(dz),
                             opts.act,
                             {p.running_mean.as<float>(),
                              p.running_var.as<float>(),
                              static_cast<float>(opts.eps),
                              true}};
    backward(ctx, terms, x, y, dy, true, p.gamma, dx, dz, dgamma, dbeta);
  });
}

}  // namespace lamina
