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

// What stands in front of the activation, of a channel: scale * (x - mean) + shift.
struct Affine {
  float mean, scale, shift;

  LAMINA_DEVICE float operator()(float x) const { return scale * (x - mean) + shift; }
};

// A norm as the passes get it: with inverse deviations, or with variances and an eps.
struct Norm {
  const float *mean, *spread;
  float eps;
  bool variance;
  const float *gamma, *beta;

  LAMINA_DEVICE float invstd(int c) const {
    return variance ? 1.0f / sqrtf(spread[c] + eps) : spread[c];
  }
  LAMINA_DEVICE Affine affine(int c) const { return {mean[c], gamma[c] * invstd(c), beta[c]}; }
};

struct Running {
  float *mean, *var;
  std::int64_t* batches;
  double momentum;
};

// Mean and variance from sums around a pivot, which is the mean of eight elements: a single one may
// lie far out, and its squared distance from the mean is what the sums lose in digits.
template <class T>
struct BatchStatistics {
  static constexpr int kSums = 2;
  using Channel = float;  // the pivot
  cuda::Rows<const T> x;
  std::int64_t rows;
  double eps;
  Running running;
  float *mean, *invstd;

  LAMINA_DEVICE Channel channel(int c) const {
    constexpr int kSamples = 8;
    float sum = 0.0f;
    for (int i = 0; i < kSamples; ++i) sum += cuda::as_f32(*x.at(rows * i / kSamples, c));
    return sum * (1.0f / kSamples);
  }
  template <int width>
  LAMINA_DEVICE void add(std::int64_t row,
                         int c,
                         const float (&pivot)[width],
                         float (&sum)[kSums][width]) const {
    const auto pack = x.template load<width>(row, c);
    for (int j = 0; j < width; ++j) {
      const float d = cuda::as_f32(pack.v[j]) - pivot[j];
      sum[0][j] += d;
      sum[1][j] += d * d;
    }
  }
  LAMINA_DEVICE void finish(int c, const double (&sum)[kSums]) const {
    const auto count = static_cast<double>(rows);
    const double offset = sum[0] / count;
    const double squares = sum[1] - offset * sum[0];  // around the mean
    const double batch_mean = static_cast<double>(channel(c)) + offset;
    const double var = squares > 0.0 ? squares / count : 0.0;
    mean[c] = static_cast<float>(batch_mean);
    invstd[c] = static_cast<float>(1.0 / sqrt(var + eps));
    blend(running.mean[c], batch_mean);
    blend(running.var[c], var * count / (count - 1.0));
    if (c == 0) ++*running.batches;
  }
  LAMINA_DEVICE void blend(float& value, double batch) const {
    value = static_cast<float>((1.0 - running.momentum) * static_cast<double>(value) +
                               running.momentum * batch);
  }
};

// z may be null.
template <int width, class T>
LAMINA_KERNEL normalise(cuda::RowSize size,
                        cuda::Rows<const T> x,
                        cuda::Rows<const T> z,
                        cuda::Rows<T> y,
                        Act act,
                        Norm norm) {
  const cuda::RowWalk at = cuda::row_walk<width>(size);
  if (at.row >= at.end) return;
  Affine affine[width];
  for (int j = 0; j < width; ++j) affine[j] = norm.affine(at.channel + j);
  for (std::int64_t row = at.row; row < at.end; row += at.step) {
    auto pack = x.template load<width>(row, at.channel);
    cuda::Pack<T, width> shortcut{};
    if (z.data != nullptr) shortcut = z.template load<width>(row, at.channel);
    for (int j = 0; j < width; ++j) {
      float value = affine[j](cuda::as_f32(pack.v[j]));
      if (z.data != nullptr) value += cuda::as_f32(shortcut.v[j]);
      pack.v[j] = cuda::from_f32<T>(cuda::activate(act, value));
    }
    y.template store<width>(row, at.channel, pack);
  }
}

// What both backward passes read. y may be null: the slope is then seen from x.
template <class T>
struct Gradients {
  cuda::Rows<const T> x, y, dy;
  Act act;
  Norm norm;

  template <int width>
  LAMINA_DEVICE cuda::Pack<T, width> load_y(std::int64_t row, int c) const {
    const bool reads = act != Act::none && y.data != nullptr;
    return reads ? y.template load<width>(row, c) : cuda::Pack<T, width>{};
  }
  // dy * act'(y) of an element
  LAMINA_DEVICE float through(T gradient, T out, const Affine& affine, T at) const {
    const float d = cuda::as_f32(gradient);
    if (act == Act::none) return d;
    const float seen = y.data != nullptr ? cuda::as_f32(out) : affine(cuda::as_f32(at));
    return cuda::through_act(act, seen, d);
  }
};

// The sums of g, and of g times the centred x. On the way g is stored to dz, which may be dy,
// unless dz is null.
template <class T>
struct GradientSums {
  static constexpr int kSums = 2;
  using Channel = Affine;
  Gradients<T> in;
  cuda::Rows<T> dz;
  float *dgamma, *dbeta;

  LAMINA_DEVICE Channel channel(int c) const { return in.norm.affine(c); }
  template <int width>
  LAMINA_DEVICE void add(std::int64_t row,
                         int c,
                         const Channel (&affine)[width],
                         float (&sum)[kSums][width]) const {
    auto gradient = in.dy.template load<width>(row, c);
    const auto x = in.x.template load<width>(row, c);
    const auto out = in.template load_y<width>(row, c);
    for (int j = 0; j < width; ++j) {
      const float g = in.through(gradient.v[j], out.v[j], affine[j], x.v[j]);
      gradient.v[j] = cuda::from_f32<T>(g);
      sum[0][j] += g;
      sum[1][j] += g * (cuda::as_f32(x.v[j]) - affine[j].mean);
    }
    if (dz.data != nullptr) dz.template store<width>(row, c, gradient);
  }
  LAMINA_DEVICE void finish(int c, const double (&sum)[kSums]) const {
    dbeta[c] = static_cast<float>(sum[0]);
    dgamma[c] = static_cast<float>(sum[1] * static_cast<double>(in.norm.invstd(c)));
  }
};

// per_row: 1/rows, or 0 with frozen statistics, which no x changes. dx may be dy.
template <int width, class T>
LAMINA_KERNEL differentiate(cuda::RowSize size,
                            Gradients<T> in,
                            cuda::Rows<T> dx,
                            float per_row,
                            const float* dgamma,
                            const float* dbeta) {
  const cuda::RowWalk at = cuda::row_walk<width>(size);
  if (at.row >= at.end) return;
  // dx = scale * (g - offset - (x - mean) * slope)
  Affine affine[width];
  float offset[width], slope[width];
  for (int j = 0; j < width; ++j) {
    const int c = at.channel + j;
    affine[j] = in.norm.affine(c);
    offset[j] = per_row * dbeta[c];
    slope[j] = per_row * dgamma[c] * in.norm.invstd(c);
  }
  for (std::int64_t row = at.row; row < at.end; row += at.step) {
    const auto gradient = in.dy.template load<width>(row, at.channel);
    const auto out = in.template load_y<width>(row, at.channel);
    auto x = in.x.template load<width>(row, at.channel);
    for (int j = 0; j < width; ++j) {
      const float g = in.through(gradient.v[j], out.v[j], affine[j], x.v[j]);
      const float centred = cuda::as_f32(x.v[j]) - affine[j].mean;
      x.v[j] = cuda::from_f32<T>(affine[j].scale * (g - offset[j] - centred * slope[j]));
    }
    dx.template store<width>(row, at.channel, x);
  }
}

// The tensors of a backward pass; y may be empty without an activation, and so may dx and dz.
struct BackwardArgs {
  const Tensor &x, &y, &dy, &dx, &dz, &dgamma, &dbeta;
};

void backward(
    Context& ctx, const char* op, Act act, const Norm& norm, bool frozen, const BackwardArgs& t) {
  using namespace cuda;
  const std::int64_t pixels = t.x.rows(), channels = t.x.shape.c;
  float *const dgamma = t.dgamma.as<float>(), *const dbeta = t.dbeta.as<float>();
  visit_compute(t.x.dtype, op, [&]<class T>(T) {
    Gradients<T> in{
        rows_of<const T>(t.x), rows_of<const T>(t.y), rows_of<const T>(t.dy), act, norm};
    const Tensor& y = act == Act::none ? Tensor{} : t.y;
    const bool packs = fits_packs<T>(channels, {t.x, y, t.dy, t.dz});
    sum_channels<T>(ctx,
                    "batch_norm_backward sums",
                    pixels,
                    channels,
                    packs,
                    GradientSums<T>{in, rows_of<T>(t.dz), dgamma, dbeta});
    if (!t.dx) return;
    if (t.dz) {  // the sums left g there
      in.dy = rows_of<const T>(t.dz);
      in.act = Act::none;
    }
    launch_rows<T>(
        ctx,
        "batch_norm_backward dx",
        pixels,
        channels,
        {t.x, y, t.dz ? t.dz : t.dy, t.dx},
        []<int width>(Width<width>) { return differentiate<width, T>; },
        in,
        rows_of<T>(t.dx),
        frozen ? 0.0f : 1.0f / static_cast<float>(pixels),
        dgamma,
        dbeta);
  });
}

template <class T>
void apply(
    Context& ctx, const Tensor& x, const Tensor& z, const Tensor& y, Act act, const Norm& norm) {
  cuda::launch_rows<T>(
      ctx,
      "batch_norm apply",
      x.rows(),
      x.shape.c,
      {x, z, y},
      []<int width>(cuda::Width<width>) { return normalise<width, T>; },
      cuda::rows_of<const T>(x),
      cuda::rows_of<const T>(z),
      cuda::rows_of<T>(y),
      act,
      norm);
}

Norm norm_of(const Tensor& mean, const Tensor& invstd, const Tensor& gamma, const Tensor& beta) {
  return {mean.as<float>(), invstd.as<float>(), 0.0f, false, gamma.as<float>(), beta.as<float>()};
}

// Of the running statistics.
Norm frozen_norm(const BatchNormParams& p, double eps) {
  return {p.running_mean.as<float>(),
          p.running_var.as<float>(),
          static_cast<float>(eps),
          true,
          p.gamma.as<float>(),
          p.beta.as<float>()};
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
  visit_compute(x.dtype, "batch_norm_train", [&]<class T>(T) {
    const Running running{p.running_mean.as<float>(),
                          p.running_var.as<float>(),
                          p.num_batches_tracked.as<std::int64_t>(),
                          opts.momentum};
    sum_channels<T>(ctx,
                    "batch_norm sums",
                    x.rows(),
                    x.shape.c,
                    fits_packs<T>(x.shape.c, {x}),
                    BatchStatistics<T>{rows_of<const T>(x),
                                       x.rows(),
                                       opts.eps,
                                       running,
                                       mean.as<float>(),
                                       invstd.as<float>()});
  });
  batch_norm_apply(ctx, opts, x, z, p.gamma, p.beta, mean, invstd, y);
}

void cuda::batch_norm_apply(Context& ctx,
                            const BatchNormOpts& opts,
                            const Tensor& x,
                            const Tensor& z,
                            const Tensor& gamma,
                            const Tensor& beta,
                            const Tensor& mean,
                            const Tensor& invstd,
                            const Tensor& y) {
  checks::batch_norm_apply(ctx, x, z, gamma, beta, mean, invstd, y);
  visit_compute(x.dtype, "batch_norm_apply", [&]<class T>(T) {
    apply<T>(ctx, x, z, y, opts.act, norm_of(mean, invstd, gamma, beta));
  });
}

void cuda::batch_norm_infer(Context& ctx,
                            const BatchNormOpts& opts,
                            const Tensor& x,
                            const Tensor& z,
                            const BatchNormParams& p,
                            const Tensor& y) {
  checks::batch_norm_infer(ctx, opts, x, z, p, y);
  visit_compute(x.dtype, "batch_norm_infer", [&]<class T>(T) {
    apply<T>(ctx, x, z, y, opts.act, frozen_norm(p, opts.eps));
  });
}

void cuda::batch_norm_backward(Context& ctx,
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
  checks::batch_norm_backward(
      ctx, opts, x, y, dy, gamma, beta, mean, invstd, dx, dz, dgamma, dbeta);
  backward(ctx,
           "batch_norm_backward",
           opts.act,
           norm_of(mean, invstd, gamma, beta),
           false,
           {x, y, dy, dx, dz, dgamma, dbeta});
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
  backward(ctx,
           "batch_norm_backward_frozen",
           opts.act,
           frozen_norm(p, opts.eps),
           true,
           {x, y, dy, dx, dz, dgamma, dbeta});
}

}  // namespace lamina
