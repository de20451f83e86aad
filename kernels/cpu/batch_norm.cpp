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
    const std::int64_t pattern_count = 4 * layout.block / 2;  // in doubles
    slots = device_of(ctx).scratch<double>(
        static_cast<std::size_t>(slot_count + 2 * layout.channels + pattern_count));
    sums = slots + slot_count;
    patterns = reinterpret_cast<float*>(sums + 2 * layout.channels);
  }
};

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
  const BlocksIn xs(layout, x);
  const BlocksOut ys(layout, y);
  visit_act(act, [&](auto a) {
    if (!z) {
      map_blocks(
          ctx,
          layout,
          [=](std::int64_t lane, const Vec& v) {
            return a.forward((v - load(mean + lane)) * load(scale + lane) + load(beta + lane));
          },
          ys,
          xs);
      return;
    }
    map_blocks(
        ctx,
        layout,
        [=](std::int64_t lane, const Vec& v, const Vec& shortcut) {
          const Vec normal = (v - load(mean + lane)) * load(scale + lane) + load(beta + lane);
          return a.forward(normal + shortcut);
        },
        ys,
        xs,
        BlocksIn(layout, z));
  });
}

// The sums both backward passes are made of, with g = dy * act'(y): of g, and of g * (x - mean). On
// the way g is stored to dz, which may be dy, unless dz is null.
template <class A>
void sum_gradients(const Context& ctx,
                   const Layout& layout,
                   const Scratch& scratch,
                   A a,
                   const BlocksIn x,
                   const BlocksIn y,
                   const BlocksIn dy,
                   const float* mean,
                   const BlocksOut dz) {
  sum_channels(ctx,
               layout,
               scratch.slots,
               scratch.sums,
               [=](std::int64_t i, std::int64_t lane, std::int64_t count) {
                 const Vec out = load_some(y.at(i, lane), count);
                 const Vec g = a.backward(out, load_some(dy.at(i, lane), count));
                 if (dz.data != nullptr) store_some(dz.at(i, lane), g, count);
                 const Vec centred = load_some(x.at(i, lane), count) - load(mean + lane);
                 return Terms{g, g * centred};
               });
}

// Calls body(activation, y, dy) with what is left to do for g once sum_gradients() is through: all
// of it, or nothing where dz holds g already.
template <class A, class Body>
void visit_gradient(
    A a, const BlocksIn& y, const BlocksIn& dy, const BlocksOut& dz, const Body& body) {
  if (dz.data != nullptr)
    body(Identity{}, y, BlocksIn(dz));
  else
    body(a, y, dy);
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
  const BlocksIn xs(layout, x);
  // Sums of differences from the mean of a few rows: no digits are lost to a mean far from zero,
  // nor to a single row that lies far out (Chan, Golub, LeVeque, "Algorithms for computing the
  // sample variance", 1983, https://doi.org/10.1080/00031305.1983.10483115).
  const float* const shift = spread(layout, scratch.patterns, [&](std::int64_t c) {
    constexpr std::int64_t kSamples = 8;
    float sum = 0;
    for (std::int64_t i = 0; i < kSamples; ++i)
      sum += xs.data[x.rows() * i / kSamples * x.row() + c];
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
  normalise(ctx,
            layout,
            opts.act,
            x,
            z,
            spread(layout, patterns, [=](std::int64_t c) { return means[c]; }),
            spread(layout,
                   patterns + layout.block,
                   [=, &opts](std::int64_t c) {
                     return static_cast<float>(gamma[c] / std::sqrt(vars[c] + opts.eps));
                   }),
            spread(layout, patterns + 2 * layout.block, [=](std::int64_t c) { return betas[c]; }),
            y);
}

void batch_norm_backward(Context& ctx,
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
  const Layout layout(x.shape);
  const Scratch scratch(ctx, layout);
  const std::int64_t channels = layout.channels, block = layout.block;
  const double* const sums = scratch.sums;
  const double rows = layout.rows();
  const float* const means = mean.as<float>();
  const float* const invstds = invstd.as<float>();
  const float* const gammas = gamma.as<float>();
  float* const patterns = scratch.patterns;
  const float* const centre = spread(layout, patterns, [=](std::int64_t c) { return means[c]; });
  visit_act(opts.act, [&](auto a) {
    const BlocksIn xs(layout, x), dys(layout, dy);
    // Without an activation y may be empty, and its values do not matter.
    const BlocksIn ys = opts.act == Act::none ? xs : BlocksIn(layout, y);
    const BlocksOut dzs(layout, dz);
    sum_gradients(ctx, layout, scratch, a, xs, ys, dys, centre, dzs);
    for (std::int64_t c = 0; c < channels; ++c) {
      dgamma.as<float>()[c] = static_cast<float>(sums[channels + c] * invstds[c]);
      dbeta.as<float>()[c] = static_cast<float>(sums[c]);
    }
    if (!dx) return;
    // The mean and the variance depend on every x of the channel: that takes off g's mean and its
    // component along x - mean.
    const float* const scale =
        spread(layout, patterns + block, [=](std::int64_t c) { return gammas[c] * invstds[c]; });
    const float* const g_mean = spread(layout, patterns + 2 * block, [=](std::int64_t c) {
      return static_cast<float>(sums[c] / rows);
    });
    const float* const slope = spread(layout, patterns + 3 * block, [=](std::int64_t c) {
      return static_cast<float>(sums[channels + c] * invstds[c] * invstds[c] / rows);
    });
    visit_gradient(
        a, ys, dys, dzs, [&](auto through, const BlocksIn& out, const BlocksIn& gradient) {
          map_blocks(
              ctx,
              layout,
              [=](std::int64_t lane, const Vec& vx, const Vec& vy, const Vec& vdy) {
                const Vec g = through.backward(vy, vdy);
                const Vec centred = vx - load(centre + lane);
                return load(scale + lane) *
                       ((g - load(g_mean + lane)) - centred * load(slope + lane));
              },
              BlocksOut(layout, dx),
              xs,
              out,
              gradient);
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
  const float* const vars = p.running_var.as<float>();
  const auto invstd = [&](std::int64_t c) { return 1.0 / std::sqrt(vars[c] + opts.eps); };
  const float* const centre =
      spread(layout, scratch.patterns, [=](std::int64_t c) { return means[c]; });
  visit_act(opts.act, [&](auto a) {
    const BlocksIn xs(layout, x), dys(layout, dy);
    const BlocksIn ys = opts.act == Act::none ? xs : BlocksIn(layout, y);
    const BlocksOut dzs(layout, dz);
    sum_gradients(ctx, layout, scratch, a, xs, ys, dys, centre, dzs);
    for (std::int64_t c = 0; c < channels; ++c) {
      dgamma.as<float>()[c] = static_cast<float>(scratch.sums[channels + c] * invstd(c));
      dbeta.as<float>()[c] = static_cast<float>(scratch.sums[c]);
    }
    if (!dx) return;
    const float* const scale = spread(layout, scratch.patterns + layout.block, [&](std::int64_t c) {
      return static_cast<float>(gammas[c] * invstd(c));
    });
    visit_gradient(
        a, ys, dys, dzs, [&](auto through, const BlocksIn& out, const BlocksIn& gradient) {
          map_blocks(
              ctx,
              layout,
              [=](std::int64_t lane, const Vec& vy, const Vec& vdy) {
                return through.backward(vy, vdy) * load(scale + lane);
              },
              BlocksOut(layout, dx),
              out,
              gradient);
        });
  });
}

}  // namespace lamina::cpu
