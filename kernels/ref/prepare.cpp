// The batch from the resident data set, pixel by pixel. Contract: kernels/prepare.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/prepare.h"

#include <vector>

#include "kernels/checks.h"
#include "kernels/ref/bilinear.h"

namespace lamina {
namespace {

// The images of a batch as they are before mixup.
class Batch {
 public:
  Batch(const PrepareOpts& opts,
        const StepState& state,
        const Tensor& images,
        const std::int32_t* samples,
        const Shape& out,
        const Tensor& pixels)
      : opts_(opts),
        in_(images.shape),
        out_(out),
        images_(images.as<std::uint8_t>()),
        samples_(samples),
        pixels_(pixels ? pixels.as<std::int32_t>() : nullptr),
        drawn_(static_cast<std::size_t>(out.n)) {
    for (std::size_t n = 0; n < drawn_.size(); ++n)
      draw_augmentation(opts.augment,
                        static_cast<int>(in_.h),
                        static_cast<int>(in_.w),
                        static_cast<int>(out.h),
                        static_cast<int>(out.w),
                        state.step,
                        static_cast<std::int64_t>(n),
                        drawn_[n]);
  }

  // Channel c, one of the image's, of pixel (p, q) of image n.
  double at(std::int64_t n, std::int64_t p, std::int64_t q, std::int64_t c) const {
    const Augmentation& drawn = drawn_[static_cast<std::size_t>(n)];
    if (drawn.hole.covers(static_cast<int>(p), static_cast<int>(q))) return 0;
    const ref::Taps rows = ref::taps_of(p, drawn.place.height, out_.h),
                    columns = ref::taps_of(q, drawn.place.width, out_.w);
    const double shift = opts_.augment.colour > 0 ? drawn.colour.shift[c] : 0;
    double value = 0;
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 2; ++j) {
        const int pixel = source(n, drawn.place, rows.index[i], columns.index[j], c);
        const double normalised = (pixel / 255.0 + shift - opts_.mean[c]) / opts_.stddev[c];
        value += rows.weight[i] * columns.weight[j] * normalised;
      }
    return value;
  }

 private:
  int source(std::int64_t n,
             const Placement& place,
             std::int64_t h,
             std::int64_t w,
             std::int64_t c) const {
    const std::int64_t row = h + place.down, column = place.column(static_cast<int>(w));
    if (row < 0 || row >= in_.h || column < 0 || column >= in_.w) return 0;
    std::int64_t pixel = row * in_.w + column;
    if (pixels_ != nullptr) pixel = pixels_[pixel];
    return images_[samples_[n] * in_.per_sample() + pixel * in_.c + c];
  }

  const PrepareOpts& opts_;
  Shape in_, out_;
  const std::uint8_t* images_;
  const std::int32_t *samples_, *pixels_;
  std::vector<Augmentation> drawn_;
};

}  // namespace

void ref::prepare(Context& ctx,
                  const PrepareOpts& opts,
                  const StepState* state,
                  const Tensor& images,
                  const Tensor& labels,
                  const Tensor& order,
                  const Tensor& x,
                  const Tensor& y,
                  const Tensor& pixels) {
  checks::prepare(ctx, opts, state, images, labels, order, x, y, pixels);
  const std::int32_t* const samples =
      checks::batch_samples(*state, order, x.shape.n, images.shape.n);
  for (std::int64_t n = 0; n < x.shape.n; ++n)
    y.as<std::int32_t>()[n] = labels.as<std::int32_t>()[samples[n]];
  const Batch batch(opts, *state, images, samples, x.shape, pixels);
  const double weight = opts.mixup.active() ? draw_mixup_weight(opts.mixup, state->step) : 1.0f;
  visit_real(x.dtype, "prepare", [&]<class T>(T) {
    T* out = x.as<T>();
    for (std::int64_t n = 0; n < x.shape.n; ++n)
      for (std::int64_t p = 0; p < x.shape.h; ++p)
        for (std::int64_t q = 0; q < x.shape.w; ++q)
          for (std::int64_t c = 0; c < x.shape.c; ++c) {
            double value = c < images.shape.c ? batch.at(n, p, q, c) : 0;
            if (opts.mixup.active() && c < images.shape.c)
              value = weight * value + (1 - weight) * batch.at(x.shape.n - 1 - n, p, q, c);
            *out++ = static_cast<T>(value);
          }
  });
}

}  // namespace lamina
