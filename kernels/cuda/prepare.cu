// From the data set to the first layer: a thread an element of x. Contract: kernels/prepare.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/prepare.h"

#include "kernels/checks.h"
#include "kernels/cuda/bilinear.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

struct Source {
  const std::uint8_t* images;
  const std::int32_t *labels, *order;
  int h, w, c;
  AugmentOpts augment;
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
  const std::uint8_t* const pixels = image + static_cast<std::int64_t>(row) * from.w * from.c;
  float value = 0.0f;
  for (int b = 0; b < 2; ++b) {
    const int column = place.column(columns.index[b], from.w);
    if (column >= 0 && column < from.w)
      value += columns.weight[b] * static_cast<float>(pixels[column * from.c]);
  }
  return value;
}

// Indexed by a variable, an array of a kernel's arguments would be copied to local memory.
LAMINA_DEVICE float pick(const float (&values)[4], int c) {
  return c == 0 ? values[0] : c == 1 ? values[1] : c == 2 ? values[2] : values[3];
}

template <class T>
LAMINA_KERNEL gather(Source from,
                     Scaling scaling,
                     T* x,
                     std::int32_t* y,
                     int samples,
                     int p_size,
                     int q_size,
                     int channels,
                     const StepState* state) {
  const std::int64_t per_sample = static_cast<std::int64_t>(p_size) * q_size * channels;
  const std::int64_t count = samples * per_sample;
  const std::int32_t* const order = from.order + state->cursor;
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const int c = static_cast<int>(i % channels), q = static_cast<int>(i / channels % q_size),
              p = static_cast<int>(i / channels / q_size % p_size);
    const std::int64_t n = i / per_sample, sample = order[n];
    if (i == n * per_sample) y[n] = from.labels[sample];
    if (c >= from.c) {
      x[i] = cuda::from_f32<T>(0.0f);
      continue;
    }
    const cuda::Taps rows = cuda::taps_of(p, from.h, p_size),
                     columns = cuda::taps_of(q, from.w, q_size);
    const std::uint8_t* const image = from.images + sample * from.h * from.w * from.c + c;
    const Placement place =
        from.augment.active() ? draw_placement(from.augment, state->step, n) : Placement{};
    float value = 0.0f;
    for (int a = 0; a < 2; ++a)
      value += rows.weight[a] * blend(from, image, rows.index[a], columns, place);
    x[i] = cuda::from_f32<T>(value * pick(scaling.scale, c) + pick(scaling.shift, c));
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
                   const Tensor& y) {
  checks::prepare(ctx, opts, state, images, labels, order, x, y);
  Scaling scaling{};
  for (std::size_t c = 0; c < opts.mean.size(); ++c) {
    const double stddev = static_cast<double>(opts.stddev[c]);
    scaling.scale[c] = static_cast<float>(1.0 / (255.0 * stddev));
    scaling.shift[c] = static_cast<float>(-static_cast<double>(opts.mean[c]) / stddev);
  }
  const Source from{images.as<std::uint8_t>(),
                    labels.as<std::int32_t>(),
                    order.as<std::int32_t>(),
                    static_cast<int>(images.shape.h),
                    static_cast<int>(images.shape.w),
                    static_cast<int>(images.shape.c),
                    opts.augment};
  visit_compute(x.dtype, "prepare", [&]<class T>(T) {
    launch(ctx,
           "prepare",
           blocks_for(x.numel()),
           kBlock,
           gather<T>,
           from,
           scaling,
           x.as<T>(),
           y.as<std::int32_t>(),
           static_cast<int>(x.shape.n),
           static_cast<int>(x.shape.h),
           static_cast<int>(x.shape.w),
           static_cast<int>(x.shape.c),
           state);
  });
}

}  // namespace lamina
