// From the data set to the first layer: a thread an element of x. Contract: kernels/prepare.h.
// Nothing drawn: one stride over all of x. Else blocks of one sample each, in which two threads
// draw what the others then do: the draws take longer than an element.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/prepare.h"

#include "kernels/checks.h"
#include "kernels/cuda/bilinear.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

struct Source {
  const std::uint8_t* images;
  const std::int32_t *labels, *order, *pixels;
  int h, w, c;
};

struct Output {
  int n, p, q, c;
};

// (pixel / 255 - mean) / stddev = pixel * scale + shift
struct Scaling {
  float scale[4], shift[4];
};

// Channel 0 of two pixels of one row, blended; black outside of the image.
LAMINA_DEVICE float blend(const Source& from,
                          const std::uint8_t* image,
                          int row,
                          const cuda::Taps& columns,
                          const Placement& place) {
  row += place.down;
  if (row < 0 || row >= from.h) return 0.0f;
  float value = 0.0f;
  for (int b = 0; b < 2; ++b) {
    const int column = place.column(columns.index[b]);
    if (column < 0 || column >= from.w) continue;
    std::int64_t pixel = static_cast<std::int64_t>(row) * from.w + column;
    if (from.pixels != nullptr) pixel = from.pixels[pixel];
    value += columns.weight[b] * static_cast<float>(image[pixel * from.c]);
  }
  return value;
}

// In 1/255: channel c of pixel (p, q) of what a part of an image is resized to.
LAMINA_DEVICE float resized(const Source& from,
                            const Output& to,
                            std::int64_t sample,
                            const Placement& place,
                            int p,
                            int q,
                            int c) {
  const cuda::Taps rows = cuda::taps_of(p, place.height, to.p),
                   columns = cuda::taps_of(q, place.width, to.q);
  const std::uint8_t* const image = from.images + sample * from.h * from.w * from.c + c;
  float value = 0.0f;
  for (int a = 0; a < 2; ++a)
    value += rows.weight[a] * blend(from, image, rows.index[a], columns, place);
  return value;
}

// Indexed by a variable, an array of a kernel's arguments would be copied to local memory.
LAMINA_DEVICE float pick(const float (&values)[4], int c) {
  return c == 0 ? values[0] : c == 1 ? values[1] : c == 2 ? values[2] : values[3];
}

template <class T>
LAMINA_KERNEL gather(
    Source from, Output to, Scaling scaling, T* x, std::int32_t* y, const StepState* state) {
  const std::int64_t per_sample = static_cast<std::int64_t>(to.p) * to.q * to.c;
  const std::int64_t count = to.n * per_sample;
  const std::int32_t* const order = from.order + state->cursor;
  const Placement whole = whole_image(from.h, from.w);
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const int c = static_cast<int>(i % to.c), q = static_cast<int>(i / to.c % to.q),
              p = static_cast<int>(i / to.c / to.q % to.p);
    const std::int64_t n = i / per_sample, sample = order[n];
    if (i == n * per_sample) y[n] = from.labels[sample];
    if (c >= from.c) {
      x[i] = cuda::from_f32<T>(0.0f);
      continue;
    }
    const float value = resized(from, to, sample, whole, p, q, c);
    x[i] = cuda::from_f32<T>(value * pick(scaling.scale, c) + pick(scaling.shift, c));
  }
}

// The image of a block and its partner in mixup. A sample is the work of `chunks` blocks.
template <class T>
LAMINA_KERNEL augmented(Source from,
                        Output to,
                        Scaling scaling,
                        AugmentOpts augment,
                        MixupOpts mixup,
                        int chunks,
                        T* x,
                        std::int32_t* y,
                        const StepState* state) {
  LAMINA_SHARED(Augmentation, drawn, [2]);
  LAMINA_SHARED(float, weight);
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const int n = block / chunks, chunk = block % chunks, partner = to.n - 1 - n;
  const std::int32_t* const order = from.order + state->cursor;
  const bool mixed = mixup.active();
  if (thread == 0 || (mixed && thread == 1))
    draw_augmentation(
        augment, from.h, from.w, to.p, to.q, state->step, thread == 0 ? n : partner, drawn[thread]);
  if (mixed && thread == cuda::kWarp) weight = draw_mixup_weight(mixup, state->step);
  if (chunk == 0 && thread == 0) y[n] = from.labels[order[n]];
  cuda::barrier();
  const std::int64_t per_sample = static_cast<std::int64_t>(to.p) * to.q * to.c;
  for (std::int64_t i = chunk * cuda::kBlock + thread; i < per_sample; i += chunks * cuda::kBlock) {
    const int c = static_cast<int>(i % to.c), q = static_cast<int>(i / to.c % to.q),
              p = static_cast<int>(i / to.c / to.q);
    const auto value_of = [&](const Augmentation& changes, std::int64_t sample) {
      if (changes.hole.covers(p, q)) return 0.0f;
      float value = resized(from, to, sample, changes.place, p, q, c);
      if (augment.colour > 0) value += 255.0f * changes.colour.shift[c];
      return value * pick(scaling.scale, c) + pick(scaling.shift, c);
    };
    float value = 0.0f;
    if (c < from.c) {
      value = value_of(drawn[0], order[n]);
      if (mixed) value = weight * value + (1.0f - weight) * value_of(drawn[1], order[partner]);
    }
    x[n * per_sample + i] = cuda::from_f32<T>(value);
  }
}

}  // namespace

void cuda::prepare(Context& ctx,
                   const PrepareOpts& opts,
                   const StepState* state,
                   const Tensor& images,
                   const Tensor& labels,
                   const Tensor& order,
                   const Tensor& x,
                   const Tensor& y,
                   const Tensor& pixels) {
  checks::prepare(ctx, opts, state, images, labels, order, x, y, pixels);
  Scaling scaling{};
  for (std::size_t c = 0; c < opts.mean.size(); ++c) {
    const double stddev = static_cast<double>(opts.stddev[c]);
    scaling.scale[c] = static_cast<float>(1.0 / (255.0 * stddev));
    scaling.shift[c] = static_cast<float>(-static_cast<double>(opts.mean[c]) / stddev);
  }
  const Source from{images.as<std::uint8_t>(),
                    labels.as<std::int32_t>(),
                    order.as<std::int32_t>(),
                    pixels ? pixels.as<std::int32_t>() : nullptr,
                    static_cast<int>(images.shape.h),
                    static_cast<int>(images.shape.w),
                    static_cast<int>(images.shape.c)};
  const Output to{static_cast<int>(x.shape.n),
                  static_cast<int>(x.shape.h),
                  static_cast<int>(x.shape.w),
                  static_cast<int>(x.shape.c)};
  // Enough elements a thread that a block's draws are a small part of its work.
  constexpr std::int64_t kPerThread = 8;
  visit_compute(x.dtype, "prepare", [&]<class T>(T) {
    T* const xs = x.as<T>();
    auto* const ys = y.as<std::int32_t>();
    if (opts.augment.active() || opts.mixup.active()) {
      const unsigned chunks = blocks_for(x.shape.per_sample(), kPerThread).x;
      launch(ctx,
             "prepare",
             {chunks * static_cast<unsigned>(to.n)},
             kBlock,
             augmented<T>,
             from,
             to,
             scaling,
             opts.augment,
             opts.mixup,
             static_cast<int>(chunks),
             xs,
             ys,
             state);
      return;
    }
    launch(
        ctx, "prepare", blocks_for(x.numel()), kBlock, gather<T>, from, to, scaling, xs, ys, state);
  });
}

}  // namespace lamina
