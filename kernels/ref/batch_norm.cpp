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

// The element of pixel `row` and channel c.
template <class T>
T& at(const Tensor& t, std::int64_t row, std::int64_t c) {
  return t.as<T>()[row * t.row() + c];
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
  for (std::int64_t row = 0; row < x.rows(); ++row) {
    const double shortcut = z ? at<T>(z, row, c) : 0;
    const double sum = scale * (at<T>(x, row, c) - mean) + beta + shortcut;
    at<T>(y, row, c) = static_cast<T>(ref::activate(act, sum));
  }
}

// The sums over a channel that both backward passes are made of, with g = dy * act'(y).
struct ChannelSums {
  double g = 0;       // sum of g: dbeta
  double g_xhat = 0;  // sum of g * (x - mean) * invstd: dgamma
};

// What the backward passes read of a channel. Without y the slope of the activation is taken where
// x was normalised to.
template <class T>
struct Channel {
  const Tensor &x, &y, &dy;
  std::int64_t c;
  Act act;
  double mean, invstd, gamma, beta;

  double xhat(std::int64_t row) const { return (at<T>(x, row, c) - mean) * invstd; }
  double gradient(std::int64_t row) const {
    const double g = at<T>(dy, row, c);
    if (act == Act::none) return g;
    const double front = gamma * invstd * (at<T>(x, row, c) - mean) + beta;
    return g * ref::slope(act, y ? at<T>(y, row, c) : front);
  }
  ChannelSums sums() const {
    ChannelSums sums;
    for (std::int64_t row = 0; row < x.rows(); ++row) {
      sums.g += gradient(row);
      sums.g_xhat += gradient(row) * xhat(row);
    }
    return sums;
  }
};

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
    const double count = static_cast<double>(x.rows());
    for (std::int64_t c = 0; c < channels; ++c) {
      double sum = 0;
      for (std::int64_t row = 0; row < x.rows(); ++row) sum += at<T>(x, row, c);
      const double batch_mean = sum / count;
      double squares = 0;
      for (std::int64_t row = 0; row < x.rows(); ++row) {
        const double centred = at<T>(x, row, c) - batch_mean;
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

void ref::batch_norm_apply(Context& ctx,
                           const BatchNormOpts& opts,
                           const Tensor& x,
                           const Tensor& z,
                           const Tensor& gamma,
                           const Tensor& beta,
                           const Tensor& mean,
                           const Tensor& invstd,
                           const Tensor& y) {
  checks::batch_norm_apply(ctx, x, z, gamma, beta, mean, invstd, y);
  visit_real(x.dtype, "batch_norm_apply", [&]<class T>(T) {
    for (std::int64_t c = 0; c < x.shape.c; ++c) {
      const double scale = value<T>(gamma, c) * value<T>(invstd, c);
      normalise<T>(x, z, y, c, opts.act, scale, value<T>(mean, c), value<T>(beta, c));
    }
  });
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
                              const Tensor& beta,
                              const Tensor& mean,
                              const Tensor& invstd,
                              const Tensor& dx,
                              const Tensor& dz,
                              const Tensor& dgamma,
                              const Tensor& dbeta) {
  checks::batch_norm_backward(
      ctx, opts, x, y, dy, gamma, beta, mean, invstd, dx, dz, dgamma, dbeta);
  visit_real(x.dtype, "batch_norm_backward", [&]<class T>(T) {
    const std::int64_t channels = x.shape.c;
    const double count = static_cast<double>(x.rows());
    for (std::int64_t c = 0; c < channels; ++c) {
      const Channel<T> channel{x,
                               y,
                               dy,
                               c,
                               opts.act,
                               value<T>(mean, c),
                               value<T>(invstd, c),
                               value<T>(gamma, c),
                               value<T>(beta, c)};
      const ChannelSums sums = channel.sums();
      dgamma.as<T>()[c] = static_cast<T>(sums.g_xhat);
      dbeta.as<T>()[c] = static_cast<T>(sums.g);
      // The mean and the variance depend on every x of the channel: that takes off g's mean and its
      // component along xhat.
      for (std::int64_t row = 0; row < x.rows(); ++row) {
        const double g = channel.gradient(row);
        if (dx)
          at<T>(dx, row, c) =
              static_cast<T>(channel.gamma * channel.invstd *
                             (g - sums.g / count - channel.xhat(row) * sums.g_xhat / count));
        if (dz) at<T>(dz, row, c) = static_cast<T>(g);
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
      const Channel<T> channel{x,
                               y,
                               dy,
                               c,
                               opts.act,
                               value<T>(p.running_mean, c),
                               1 / std::sqrt(value<T>(p.running_var, c) + opts.eps),
                               value<T>(p.gamma, c),
                               value<T>(p.beta, c)};
      const ChannelSums sums = channel.sums();
      dgamma.as<T>()[c] = static_cast<T>(sums.g_xhat);
      dbeta.as<T>()[c] = static_cast<T>(sums.g);
      for (std::int64_t row = 0; row < x.rows(); ++row) {
        const double g = channel.gradient(row);
        if (dx) at<T>(dx, row, c) = static_cast<T>(channel.gamma * channel.invstd * g);
        if (dz) at<T>(dz, row, c) = static_cast<T>(g);
      }
    }
  });
}

}  // namespace lamina
