// Batch normalisation, channel by channel: a pass for the mean, one for the variance, one to
// normalise. Contract: kernels/batch_norm.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/batch_norm.h"

#include "kernels/checks.h"
#include "kernels/ref/pointwise.h"

namespace lamina {
namespace {

// Statistics have the type of the tensors here: f32 with f32, f64 with f64.
template <class T>
double value(const Tensor& vector, std::int64_t c) {
  return static_cast<double>(vector.as<T>()[c]);
}

template <class T>
void normalise(const Tensor& x,
               const Tensor& z,
               const Tensor& y,
               std::int64_t c,
               Act act,
               double scale,
               double mean,
               double beta) {
  const std::int64_t channels = x.shape.c;
  for (std::int64_t i = c; i < x.numel(); i += channels) {
    const double shortcut = z ? z.as<T>()[i] : 0;
    const double sum = scale * (x.as<T>()[i] - mean) + beta + shortcut;
    y.as<T>()[i] = static_cast<T>(ref::activate(act, sum));
  }
}

// The sums over a channel that both backward passes are made of, with g = dy * act'(y).
struct ChannelSums {
  double g = 0;       // sum of g: dbeta
  double g_xhat = 0;  // sum of g * (x - mean) * invstd: dgamma
};

template <class T>
double gradient_at(Act act, const Tensor& y, const Tensor& dy, std::int64_t i) {
  const double g = dy.as<T>()[i];
  return act == Act::none ? g : g * ref::slope(act, y.as<T>()[i]);
}

template <class T>
ChannelSums sum_channel(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        std::int64_t c,
                        Act act,
                        double mean,
                        double invstd) {
  ChannelSums sums;
  for (std::int64_t i = c; i < x.numel(); i += x.shape.c) {
    const double g = gradient_at<T>(act, y, dy, i);
    sums.g += g;
    sums.g_xhat += g * (x.as<T>()[i] - mean) * invstd;
  }
  return sums;
}

}  // namespace

void ref::batch_norm_train(Context& ctx,
                           const BatchNormOpts& opts,
                           const Tensor& x,
                           const Tensor& z,
                           const BatchNormParams& p,
                           const Tensor& y,
                           const Tensor& mean,
                           const Tensor& invstd) {
  checks::batch_norm_train(ctx, opts, x, z, p, y, mean, invstd);
  visit_real(x.dtype, "batch_norm_train", [&]<class T>(T) {
    const std::int64_t channels = x.shape.c;
    const double count = static_cast<double>(x.numel() / channels);
    for (std::int64_t c = 0; c < channels; ++c) {
      double sum = 0;
      for (std::int64_t i = c; i < x.numel(); i += channels) sum += x.as<T>()[i];
      const double batch_mean = sum / count;
      double squares = 0;
      for (std::int64_t i = c; i < x.numel(); i += channels) {
        const double centred = x.as<T>()[i] - batch_mean;
        squares += centred * centred;
      }
      const double batch_invstd = 1 / std::sqrt(squares / count + opts.eps);
      normalise<T>(x,
                   z,
                   y,
                   c,
                   opts.act,
                   value<T>(p.gamma, c) * batch_invstd,
                   batch_mean,
                   value<T>(p.beta, c));
      mean.as<T>()[c] = static_cast<T>(batch_mean);
      invstd.as<T>()[c] = static_cast<T>(batch_invstd);
      const auto blend = [&](const Tensor& running, double batch) {
        running.as<T>()[c] =
            static_cast<T>((1 - opts.momentum) * value<T>(running, c) + opts.momentum * batch);
      };
      blend(p.running_mean, batch_mean);
      blend(p.running_var, squares / (count - 1));
    }
  });
  ++*p.num_batches_tracked.as<std::int64_t>();
}

void ref::batch_norm_infer(Context& ctx,
                           const BatchNormOpts& opts,
                           const Tensor& x,
                           const Tensor& z,
                           const BatchNormParams& p,
                           const Tensor& y) {
  checks::batch_norm_infer(ctx, opts, x, z, p, y);
  visit_real(x.dtype, "batch_norm_infer", [&]<class T>(T) {
    for (std::int64_t c = 0; c < x.shape.c; ++c) {
      const double invstd = 1 / std::sqrt(value<T>(p.running_var, c) + opts.eps);
      normalise<T>(x,
                   z,
                   y,
                   c,
                   opts.act,
                   value<T>(p.gamma, c) * invstd,
                   value<T>(p.running_mean, c),
                   value<T>(p.beta, c));
    }
  });
}

void ref::batch_norm_backward(Context& ctx,
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
  visit_real(x.dtype, "batch_norm_backward", [&]<class T>(T) {
    const std::int64_t channels = x.shape.c;
    const double count = static_cast<double>(x.numel() / channels);
    for (std::int64_t c = 0; c < channels; ++c) {
      const double mu = value<T>(mean, c), is = value<T>(invstd, c);
      const ChannelSums sums = sum_channel<T>(x, y, dy, c, opts.act, mu, is);
      dgamma.as<T>()[c] = static_cast<T>(sums.g_xhat);
      dbeta.as<T>()[c] = static_cast<T>(sums.g);
      // The mean and the variance depend on every x of the channel: that takes off g's mean and its
      // component along xhat.
      for (std::int64_t i = c; i < x.numel(); i += channels) {
        const double g = gradient_at<T>(opts.act, y, dy, i);
        const double xhat = (x.as<T>()[i] - mu) * is;
        if (dx)
          dx.as<T>()[i] = static_cast<T>(value<T>(gamma, c) * is *
                                         (g - sums.g / count - xhat * sums.g_xhat / count));
        if (dz) dz.as<T>()[i] = static_cast<T>(g);
      }
    }
  });
}

void ref::batch_norm_backward_frozen(Context& ctx,
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
  visit_real(x.dtype, "batch_norm_backward_frozen", [&]<class T>(T) {
    for (std::int64_t c = 0; c < x.shape.c; ++c) {
      const double invstd = 1 / std::sqrt(value<T>(p.running_var, c) + opts.eps);
      const ChannelSums sums =
          sum_channel<T>(x, y, dy, c, opts.act, value<T>(p.running_mean, c), invstd);
      dgamma.as<T>()[c] = static_cast<T>(sums.g_xhat);
      dbeta.as<T>()[c] = static_cast<T>(sums.g);
      for (std::int64_t i = c; i < x.numel(); i += x.shape.c) {
        const double g = gradient_at<T>(opts.act, y, dy, i);
        if (dx) dx.as<T>()[i] = static_cast<T>(value<T>(p.gamma, c) * invstd * g);
        if (dz) dz.as<T>()[i] = static_cast<T>(g);
      }
    }
  });
}

}  // namespace lamina
