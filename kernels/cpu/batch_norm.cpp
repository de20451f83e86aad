// Batch normalisation: a pass that adds up the channels and one that normalises, each way.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/batch_norm.h"

#include <cmath>

#include "kernels/checks.h"
#include "kernels/cpu/channel_blocks.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/vec_math.h"

namespace lamina::cpu {
namespace {

// Scratch of one call: f64 partial sums and totals, then patterns of floats.
struct Scratch {
  double *slots, *sums;
  float* patterns;

  Scratch(Context& ctx, const Layout& layout) {
    const std::int64_t slot_count = layout.chunks * 2 * layout.block;
    const std::int64_t pattern_count = 5 * layout.block / 2;  // in doubles
    slots = device_of(ctx).scratch<double>(
        static_cast<std::size_t>(slot_count + 2 * layout.channels + pattern_count));
    sums = slots + slot_count;
    patterns = reinterpret_cast<float*>(sums + 2 * layout.channels);
  }
};

// gamma / sqrt(var + eps), of running statistics
float frozen_scale(float gamma, float var, double eps) {
  return static_cast<float>(gamma / std::sqrt(var + eps));
}

// What stands in front of the activation, rounded alike in both directions.
LAMINA_INLINE Vec affine(const Vec& x, const Vec& mean, const Vec& scale, const Vec& beta) {
  return multiply_add(x - mean, scale, beta);
}

// y = act((x - mean) * scale + beta + z), z may be empty.
void normalise(Context& ctx,
               const Layout& layout,
               Act act,
               const Tensor& x,
               const Tensor& z,
               const float* mean,
               const float* scale,
               const float* beta,
               const Tensor& y) {
  visit_storage(x.dtype, [&]<class T>(T) {
    const BlocksIn<T> xs(layout, x), zs(layout, z);
    const BlocksOut<T> ys(layout, y);
    visit_act(act, [&](auto a) {
      if (!z) {
        map_blocks(
            ctx,
            layout,
            [=](std::int64_t lane, const Vec& v) {
              return a.forward(affine(v, load(mean + lane), load(scale + lane), load(beta + lane)));
            },
            ys,
            xs);
        return;
      }
      map_blocks(
          ctx,
          layout,
          [=](std::int64_t lane, const Vec& v, const Vec& shortcut) {
            return a.forward(affine(v, load(mean + lane), load(scale + lane), load(beta + lane)) +
                             shortcut);
          },
          ys,
          xs,
          zs);
    });
  });
}

// Where an activation's slope is seen: from y, or from x by way of what stood in front of the
// activation. `from` is the tensor that is read for it.
template <class A, class T>
struct SlopeFromY {
  BlocksIn<T> from;
  LAMINA_INLINE Vec gradient(std::int64_t, const Vec& y, const Vec& dy) const {
    return A::backward(y, dy);
  }
};
template <class A, class T>
struct SlopeFromX {
  BlocksIn<T> from;
  const float *mean, *scale, *beta;
  LAMINA_INLINE Vec gradient(std::int64_t lane, const Vec& x, const Vec& dy) const {
    return A::backward(affine(x, load(mean + lane), load(scale + lane), load(beta + lane)), dy);
  }
};

// Calls body(slope). Without an activation the tensor that is read does not matter.
template <class T, class Body>
void visit_slope(Act act,
                 const BlocksIn<T>& x,
                 const BlocksIn<T>& y,
                 const float* mean,
                 const float* scale,
                 const float* beta,
                 const Body& body) {
  visit_act(act, [&]<class A>(A) {
    if (act == Act::none)
      body(SlopeFromY<A, T>{x});
    else if (y.data != nullptr)
      body(SlopeFromY<A, T>{y});
    else
      body(SlopeFromX<A, T>{x, mean, scale, beta});
  });
}

// The sums both backward passes are made of, with g = dy * act'(y): of g, and of g * (x - mean). On
// the way g is stored to dz, which may be dy, unless dz is null.
template <class Slope, class T>
void sum_gradients(const Context& ctx,
                   const Layout& layout,
                   const Scratch& scratch,
                   const Slope slope,
                   const BlocksIn<T> x,
                   const BlocksIn<T> dy,
                   const float* mean,
                   const BlocksOut<T> dz) {
  sum_channels(ctx,
               layout,
               scratch.slots,
               scratch.sums,
               [=](std::int64_t i, std::int64_t lane, std::int64_t count) {
                 const Vec g = slope.gradient(lane,
                                              load_some(slope.from.at(i, lane), count),
                                              load_some(dy.at(i, lane), count));
                 if (dz.data != nullptr) store_some(dz.at(i, lane), g, count);
                 const Vec centred = load_some(x.at(i, lane), count) - load(mean + lane);
                 return Terms{g, g * centred};
               });
}

// Calls body(slope, dy) with what is left to do for g once sum_gradients() is through: all of it,
// or nothing where dz holds g already.
template <class Slope, class T, class Body>
void visit_gradient(const Slope& slope,
                    const BlocksIn<T>& dy,
                    const BlocksOut<T>& dz,
                    const Body& body) {
  if (dz.data != nullptr)
    body(SlopeFromY<Identity, T>{slope.from}, BlocksIn<T>(dz));
  else
    body(slope, dy);
}

}  // namespace

void batch_norm_train(Context& ctx,
                      const BatchNormOpts& opts,
                      const Tensor& x,
                      const Tensor& z,
                      const BatchNormParams& p,
                      const Tensor& y,
                      const Tensor& mean,
                      const Tensor& invstd) {
  checks::batch_norm_train(ctx, opts, x, z, p, y, mean, invstd);
  const Layout layout(x.shape);
  const Scratch scratch(ctx, layout);
  // Sums of differences from the mean of a few rows: no digits are lost to a mean far from zero,
  // nor to a single row that lies far out (Chan, Golub, LeVeque, "Algorithms for computing the
  // sample variance", 1983, https://doi.org/10.1080/00031305.1983.10483115).
  float* const shift = scratch.patterns;
  visit_storage(x.dtype, [&]<class T>(T) {
    const BlocksIn<T> xs(layout, x);
    spread(layout, shift, [&](std::int64_t c) {
      constexpr std::int64_t kSamples = 8;
      float sum = 0;
      for (std::int64_t i = 0; i < kSamples; ++i)
        sum += widened(xs.data[x.rows() * i / kSamples * x.row() + c]);
      return sum / kSamples;
    });
    sum_channels(ctx,
                 layout,
                 scratch.slots,
                 scratch.sums,
                 [=](std::int64_t i, std::int64_t lane, std::int64_t count) {
                   const Vec offset = load_some(xs.at(i, lane), count) - load(shift + lane);
                   return Terms{offset, offset * offset};
                 });
  });
  const std::int64_t channels = layout.channels;
  const double rows = layout.rows();
  for (std::int64_t c = 0; c < channels; ++c) {
    const double offset = scratch.sums[c] / rows;
    const double squares =
        std::max(0.0, scratch.sums[channels + c] - offset * scratch.sums[c]);  // of (x - mean)
    const double batch_mean = shift[c] + offset;
    mean.as<float>()[c] = static_cast<float>(batch_mean);
    invstd.as<float>()[c] = static_cast<float>(1.0 / std::sqrt(squares / rows + opts.eps));
    const auto blend = [&](const Tensor& running, double batch) {
      float& value = running.as<float>()[c];
      value = static_cast<float>((1.0 - opts.momentum) * value + opts.momentum * batch);
    };
    blend(p.running_mean, batch_mean);
    blend(p.running_var, squares / (rows - 1.0));
  }
  ++*p.num_batches_tracked.as<std::int64_t>();

  batch_norm_apply(ctx, opts, x, z, p.gamma, p.beta, mean, invstd, y);
}

void batch_norm_apply(Context& ctx,
                      const BatchNormOpts& opts,
                      const Tensor& x,
                      const Tensor& z,
                      const Tensor& gamma,
                      const Tensor& beta,
                      const Tensor& mean,
                      const Tensor& invstd,
                      const Tensor& y) {
  checks::batch_norm_apply(ctx, x, z, gamma, beta, mean, invstd, y);
  const Layout layout(x.shape);
  float* const patterns = Scratch(ctx, layout).patterns;
  const float* const gammas = gamma.as<float>();
  const float* const means = mean.as<float>();
  const float* const invstds = invstd.as<float>();
  const float* const betas = beta.as<float>();
  normalise(
      ctx,
      layout,
      opts.act,
      x,
      z,
      spread(layout, patterns, [=](std::int64_t c) { return means[c]; }),
      spread(
          layout, patterns + layout.block, [=](std::int64_t c) { return gammas[c] * invstds[c]; }),
      spread(layout, patterns + 2 * layout.block, [=](std::int64_t c) { return betas[c]; }),
      y);
}

void batch_norm_infer(Context& ctx,
                      const BatchNormOpts& opts,
                      const Tensor& x,
                      const Tensor& z,
                      const BatchNormParams& p,
                      const Tensor& y) {
  checks::batch_norm_infer(ctx, opts, x, z, p, y);
  const Layout layout(x.shape);
  const Scratch scratch(ctx, layout);
  const float* const gamma = p.gamma.as<float>();
  const float* const betas = p.beta.as<float>();
  const float* const means = p.running_mean.as<float>();
  const float* const vars = p.running_var.as<float>();
  float* const patterns = scratch.patterns;
  normalise(
      ctx,
      layout,
      opts.act,
      x,
      z,
      spread(layout, patterns, [=](std::int64_t c) { return means[c]; }),
      spread(layout,
             patterns + layout.block,
             [=, &opts](std::int64_t c) { return frozen_scale(gamma[c], vars[c], opts.eps); }),
      spread(layout, patterns + 2 * layout.block, [=](std::int64_t c) { return betas[c]; }),
      y);
}

void batch_norm_backward(Context& ctx,
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
  const Layout layout(x.shape);
  const Scratch scratch(ctx, layout);
  const std::int64_t channels = layout.channels, block = layout.block;
  const double* const sums = scratch.sums;
  const double rows = layout.rows();
  const float* const means = mean.as<float>();
  const float* const invstds = invstd.as<float>();
  const float* const gammas = gamma.as<float>();
  const float* const betas = beta.as<float>();
  float* const patterns = scratch.patterns;
  const float* const centre = spread(layout, patterns, [=](std::int64_t c) { return means[c]; });
  const float* const scale =
      spread(layout, patterns + block, [=](std::int64_t c) { return gammas[c] * invstds[c]; });
  const float* const offset =
      spread(layout, patterns + 2 * block, [=](std::int64_t c) { return betas[c]; });
  visit_storage(x.dtype, [&]<class T>(T) {
    const BlocksIn<T> xs(layout, x), ys(layout, y), dys(layout, dy);
    const BlocksOut<T> dzs(layout, dz);
    visit_slope(opts.act, xs, ys, centre, scale, offset, [&](const auto& slope) {
      sum_gradients(ctx, layout, scratch, slope, xs, dys, centre, dzs);
      for (std::int64_t c = 0; c < channels; ++c) {
        dgamma.as<float>()[c] = static_cast<float>(sums[channels + c] * invstds[c]);
        dbeta.as<float>()[c] = static_cast<float>(sums[c]);
      }
      if (!dx) return;
      // The mean and the variance depend on every x of the channel: that takes off g's mean and its
      // component along x - mean.
      const float* const g_mean = spread(layout, patterns + 3 * block, [=](std::int64_t c) {
        return static_cast<float>(sums[c] / rows);
      });
      const float* const along = spread(layout, patterns + 4 * block, [=](std::int64_t c) {
        return static_cast<float>(sums[channels + c] * invstds[c] * invstds[c] / rows);
      });
      visit_gradient(slope, dys, dzs, [&](auto through, const BlocksIn<T>& gradient) {
        map_blocks(
            ctx,
            layout,
            [=](std::int64_t lane, const Vec& vx, const Vec& from, const Vec& vdy) {
              const Vec g = through.gradient(lane, from, vdy);
              const Vec centred = vx - load(centre + lane);
              return load(scale + lane) *
                     ((g - load(g_mean + lane)) - centred * load(along + lane));
            },
            BlocksOut<T>(layout, dx),
            xs,
            through.from,
            gradient);
      });
    });
  });
}

void batch_norm_backward_frozen(Context& ctx,
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
  const Layout layout(x.shape);
  const Scratch scratch(ctx, layout);
  const std::int64_t channels = layout.channels;
  const float* const means = p.running_mean.as<float>();
  const float* const gammas = p.gamma.as<float>();
  const float* const betas = p.beta.as<float>();
  const float* const vars = p.running_var.as<float>();
  const auto invstd = [&](std::int64_t c) { return 1.0 / std::sqrt(vars[c] + opts.eps); };
  float* const patterns = scratch.patterns;
  const float* const centre = spread(layout, patterns, [=](std::int64_t c) { return means[c]; });
  const float* const scale = spread(layout, patterns + layout.block, [&](std::int64_t c) {
    return frozen_scale(gammas[c], vars[c], opts.eps);
  });
  const float* const offset =
      spread(layout, patterns + 2 * layout.block, [=](std::int64_t c) { return betas[c]; });
  visit_storage(x.dtype, [&]<class T>(T) {
    const BlocksIn<T> xs(layout, x), ys(layout, y), dys(layout, dy);
    const BlocksOut<T> dzs(layout, dz);
    visit_slope(opts.act, xs, ys, centre, scale, offset, [&](const auto& slope) {
      sum_gradients(ctx, layout, scratch, slope, xs, dys, centre, dzs);
      for (std::int64_t c = 0; c < channels; ++c) {
        dgamma.as<float>()[c] = static_cast<float>(scratch.sums[channels + c] * invstd(c));
        dbeta.as<float>()[c] = static_cast<float>(scratch.sums[c]);
      }
      if (!dx) return;
      visit_gradient(slope, dys, dzs, [&](auto through, const BlocksIn<T>& gradient) {
        map_blocks(
            ctx,
            layout,
            [=](std::int64_t lane, const Vec& from, const Vec& vdy) {
              return through.gradient(lane, from, vdy) * load(scale + lane);
            },
            BlocksOut<T>(layout, dx),
            through.from,
            gradient);
      });
    });
  });
}

}  // namespace lamina::cpu
