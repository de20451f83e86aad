// Batch normalisation in NHWC, for any number of channels.
//
// Sixteen lanes do not line up with, say, six channels, but lcm(6, 16) = 48 floats do: the tensor
// is walked in blocks of that many floats, and per-channel numbers are laid out once over a block.
// Sums are kept in f64, one partial sum for each fixed chunk of the tensor, added up in the order
// of the chunks: the result does not depend on the number of threads.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/batch_norm.h"

#include <cmath>
#include <numeric>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/vec_math.h"

namespace lamina::cpu {
namespace {

using Wide = double __attribute__((vector_size(64)));
using HalfVec = float __attribute__((vector_size(32)));
constexpr std::int64_t kHalf = 8;

// The lower or the upper half in f64. Spelt out: this is what compilers turn into one conversion.
LAMINA_INLINE Wide widen(const Vec& v, int half) {
  const HalfVec h = half == 0 ? __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7)
                              : __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  return Wide{h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]};
}
LAMINA_INLINE Wide load_wide(const double* p) {
  Wide v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

LAMINA_INLINE void store_wide(double* p, const Wide& v) { std::memcpy(p, &v, sizeof v); }

// How a tensor is cut: blocks in which the channels repeat, chunks of whole blocks, and the rows
// that do not fill a block.
struct Layout {
  std::int64_t channels, floats, block, blocks, blocks_per_chunk, chunks;

  explicit Layout(const Shape& x)
      : channels(x.c), floats(x.numel()), block(std::lcm(x.c, kLanes)), blocks(floats / block) {
    constexpr std::int64_t kChunkFloats = 16384, kMaxChunks = 64;
    blocks_per_chunk =
        std::max({std::int64_t{1}, kChunkFloats / block, (blocks + kMaxChunks - 1) / kMaxChunks});
    chunks = std::max<std::int64_t>(1, (blocks + blocks_per_chunk - 1) / blocks_per_chunk);
  }
  double rows() const { return static_cast<double>(floats / channels); }

  // Calls body(first float, last float, chunk) for each chunk; the last one has the odd rows. Each
  // thread walks its chunks forwards, or backwards.
  template <class Body>
  void for_each_chunk(const Context& ctx, const Body& body) const {
    parallel_for(ctx, chunks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) call(i, body);
    });
  }
  template <class Body>
  void for_each_chunk_backwards(const Context& ctx, const Body& body) const {
    parallel_for(ctx, chunks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = end; i-- > begin;) call(i, body);
    });
  }
  template <class Body>
  void call(std::int64_t i, const Body& body) const {
    const std::int64_t first = i * blocks_per_chunk * block;
    body(first, i + 1 == chunks ? floats : first + blocks_per_chunk * block, i);
  }
};

// Numbers of a channel laid out over a block, so that lane i of the block has channel i % channels.
template <class F>
float* spread(const Layout& layout, float* pattern, const F& of_channel) {
  for (std::int64_t c = 0; c < layout.channels; ++c) pattern[c] = of_channel(c);
  for (std::int64_t i = layout.channels; i < layout.block; ++i)
    pattern[i] = pattern[i - layout.channels];
  return pattern;
}

// For each channel the sums of two quantities over all rows: terms(offset, lane, count) returns
// both for sixteen floats (count of them valid) from `offset` on. sums: [2 * channels].
struct Terms {
  Wide first[2], second[2];
};
template <class F>
void sum_chunk(std::int64_t block,
               std::int64_t begin,
               std::int64_t end,
               double* const first,
               double* const second,
               const F terms) {
  // A part that stays in the first-level cache, column after column, the sums in registers.
  const std::int64_t part = std::max<std::int64_t>(1, 2048 / block) * block;
  std::int64_t at = begin;
  for (std::int64_t stop; at + block <= end; at = stop) {
    stop = std::min(at + part, begin + (end - begin) / block * block);
    for (std::int64_t lane = 0; lane < block; lane += kLanes) {
      Wide sum[4];
      LAMINA_UNROLL
      for (int h = 0; h < 2; ++h) {
        sum[h] = load_wide(first + lane + h * kHalf);
        sum[2 + h] = load_wide(second + lane + h * kHalf);
      }
      for (std::int64_t i = at + lane; i < stop; i += block) {
        const Terms t = terms(i, lane, kLanes);
        LAMINA_UNROLL
        for (int h = 0; h < 2; ++h) {
          sum[h] += t.first[h];
          sum[2 + h] += t.second[h];
        }
      }
      LAMINA_UNROLL
      for (int h = 0; h < 2; ++h) {
        store_wide(first + lane + h * kHalf, sum[h]);
        store_wide(second + lane + h * kHalf, sum[2 + h]);
      }
    }
  }
  for (std::int64_t lane = 0; at + lane < end; lane += kLanes) {
    const std::int64_t count = std::min(kLanes, end - at - lane);
    const Terms t = terms(at + lane, lane, count);
    for (std::int64_t i = 0; i < count; ++i) {
      first[lane + i] += t.first[i / kHalf][i % kHalf];
      second[lane + i] += t.second[i / kHalf][i % kHalf];
    }
  }
}

template <class F>
void sum_channels(
    const Context& ctx, const Layout& layout, double* slots, double* sums, const F& terms) {
  const std::int64_t block = layout.block, channels = layout.channels;
  layout.for_each_chunk(ctx, [&](std::int64_t begin, std::int64_t end, std::int64_t chunk) {
    double* const first = slots + chunk * 2 * block;
    double* const second = first + block;
    std::fill(first, first + 2 * block, 0.0);
    sum_chunk(block, begin, end, first, second, terms);
    for (std::int64_t i = channels; i < block; ++i) {
      first[i % channels] += first[i];
      second[i % channels] += second[i];
    }
  });
  std::fill(sums, sums + 2 * channels, 0.0);
  for (std::int64_t chunk = 0; chunk < layout.chunks; ++chunk)
    for (std::int64_t c = 0; c < channels; ++c) {
      sums[c] += slots[chunk * 2 * block + c];
      sums[channels + c] += slots[(chunk * 2 + 1) * block + c];
    }
}

LAMINA_INLINE Vec load_some(const float* p, std::int64_t count) {
  return count == kLanes ? load(p) : load_part(p, count);
}
LAMINA_INLINE void store_some(float* p, const Vec& v, std::int64_t count) {
  if (count == kLanes)
    store(p, v);
  else
    store_part(p, v, count);
}

// Everything by value: the loops store through char, which may change any object in memory.
template <class F, class... In>
void map_chunk(std::int64_t block,
               std::int64_t begin,
               std::int64_t end,
               const F f,
               float* const y,
               const In* const... x) {
  std::int64_t at = begin;
  for (; at + block <= end; at += block)
    for (std::int64_t lane = 0; lane < block; lane += kLanes)
      store(y + at + lane, f(lane, load(x + at + lane)...));
  for (std::int64_t lane = 0; at + lane < end; lane += kLanes) {
    const std::int64_t count = std::min(kLanes, end - at - lane);
    store_part(y + at + lane, f(lane, load_part(x + at + lane, count)...), count);
  }
}

// y[i] = f(lane of its block, x[i]...) over the whole tensor; y may be one of the x. It follows a
// pass over the same tensors and goes backwards, to meet what that one left in the cache.
template <class F, class... In>
void map_blocks(const Context& ctx, const Layout& layout, const F& f, float* y, const In*... x) {
  layout.for_each_chunk_backwards(ctx, [&](std::int64_t begin, std::int64_t end, std::int64_t) {
    map_chunk(layout.block, begin, end, f, y, x...);
  });
}

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
  const float* const xs = x.as<float>();
  visit_act(act, [&](auto a) {
    if (!z) {
      map_blocks(
          ctx,
          layout,
          [=](std::int64_t lane, const Vec& v) {
            return a.forward((v - load(mean + lane)) * load(scale + lane) + load(beta + lane));
          },
          y.as<float>(),
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
        y.as<float>(),
        xs,
        static_cast<const float*>(z.as<float>()));
  });
}

// The sums both backward passes are made of, with g = dy * act'(y): of g, and of g * (x - mean). On
// the way g is stored to dz, which may be dy, unless dz is null.
template <class A>
void sum_gradients(const Context& ctx,
                   const Layout& layout,
                   const Scratch& scratch,
                   A a,
                   const float* x,
                   const float* y,
                   const float* dy,
                   const float* mean,
                   float* dz) {
  sum_channels(ctx,
               layout,
               scratch.slots,
               scratch.sums,
               [=](std::int64_t i, std::int64_t lane, std::int64_t count) {
                 const Vec out = y == nullptr ? Vec{} : load_some(y + i, count);
                 const Vec g = a.backward(out, load_some(dy + i, count));
                 if (dz != nullptr) store_some(dz + i, g, count);
                 const Vec centred = load_some(x + i, count) - load(mean + lane);
                 Terms t;
                 LAMINA_UNROLL for (int h = 0; h < 2; ++h) {
                   t.first[h] = widen(g, h);
                   t.second[h] = t.first[h] * widen(centred, h);
                 }
                 return t;
               });
}

// Calls body(activation, y, dy) with what is left to do for g once sum_gradients() is through: all
// of it, or nothing where dz holds g already.
template <class A, class Body>
void visit_gradient(A a, const float* y, const float* dy, const Tensor& dz, const Body& body) {
  if (dz)
    body(Identity{}, y, static_cast<const float*>(dz.as<float>()));
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
  const float* const xs = x.as<float>();
  // Sums of differences from the first row: no digits are lost to a mean far from zero.
  const float* const shift =
      spread(layout, scratch.patterns, [=](std::int64_t c) { return xs[c]; });
  sum_channels(ctx,
               layout,
               scratch.slots,
               scratch.sums,
               [=](std::int64_t i, std::int64_t lane, std::int64_t count) {
                 const Vec v = load_some(xs + i, count), s = load(shift + lane);
                 Terms t;
                 LAMINA_UNROLL for (int h = 0; h < 2; ++h) {
                   t.first[h] = widen(v, h) - widen(s, h);
                   t.second[h] = t.first[h] * t.first[h];
                 }
                 return t;
               });
  const std::int64_t channels = layout.channels;
  const double rows = layout.rows();
  for (std::int64_t c = 0; c < channels; ++c) {
    const double offset = scratch.sums[c] / rows;
    const double squares =
        std::max(0.0, scratch.sums[channels + c] - offset * scratch.sums[c]);  // of (x - mean)
    const double batch_mean = xs[c] + offset;
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

  const float* const gamma = p.gamma.as<float>();
  const float* const means = mean.as<float>();
  const float* const invstds = invstd.as<float>();
  const float* const betas = p.beta.as<float>();
  float* const patterns = scratch.patterns;
  normalise(
      ctx,
      layout,
      opts.act,
      x,
      z,
      spread(layout, patterns, [=](std::int64_t c) { return means[c]; }),
      spread(
          layout, patterns + layout.block, [=](std::int64_t c) { return gamma[c] * invstds[c]; }),
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
    const float* const xs = x.as<float>();
    // Without an activation y may be empty, and its values do not matter.
    const float* const ys = opts.act == Act::none ? xs : y.as<float>();
    const float* const dys = dy.as<float>();
    sum_gradients(ctx, layout, scratch, a, xs, ys, dys, centre, dz ? dz.as<float>() : nullptr);
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
    visit_gradient(a, ys, dys, dz, [&](auto through, const float* out, const float* gradient) {
      map_blocks(
          ctx,
          layout,
          [=](std::int64_t lane, const Vec& vx, const Vec& vy, const Vec& vdy) {
            const Vec g = through.backward(vy, vdy);
            const Vec centred = vx - load(centre + lane);
            return load(scale + lane) * ((g - load(g_mean + lane)) - centred * load(slope + lane));
          },
          dx.as<float>(),
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
    const float* const xs = x.as<float>();
    const float* const ys = opts.act == Act::none ? xs : y.as<float>();
    const float* const dys = dy.as<float>();
    sum_gradients(ctx, layout, scratch, a, xs, ys, dys, centre, dz ? dz.as<float>() : nullptr);
    for (std::int64_t c = 0; c < channels; ++c) {
      dgamma.as<float>()[c] = static_cast<float>(scratch.sums[channels + c] * invstd(c));
      dbeta.as<float>()[c] = static_cast<float>(scratch.sums[c]);
    }
    if (!dx) return;
    const float* const scale = spread(layout, scratch.patterns + layout.block, [&](std::int64_t c) {
      return static_cast<float>(gammas[c] * invstd(c));
    });
    visit_gradient(a, ys, dys, dz, [&](auto through, const float* out, const float* gradient) {
      map_blocks(
          ctx,
          layout,
          [=](std::int64_t lane, const Vec& vy, const Vec& vdy) {
            return through.backward(vy, vdy) * load(scale + lane);
          },
          dx.as<float>(),
          out,
          gradient);
    });
  });
}

}  // namespace lamina::cpu
