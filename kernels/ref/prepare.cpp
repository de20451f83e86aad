// The batch from the resident data set, pixel by pixel. Contract: kernels/prepare.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/prepare.h"

#include "kernels/checks.h"
#include "kernels/ref/bilinear.h"

namespace lamina {

void ref::prepare(Context& ctx,
                  const PrepareOpts& opts,
                  const StepState* state,
                  const Tensor& images,
                  const Tensor& labels,
                  const Tensor& order,
                  const Tensor& x,
                  const Tensor& y) {
  checks::prepare(ctx, opts, state, images, labels, order, x, y);
  LAMINA_CHECK(state->cursor >= 0 && state->cursor + x.shape.n <= order.numel(),
               "prepare: {} samples from position {} run past the order's {}.",
               x.shape.n,
               state->cursor,
               order.numel());
  visit_real(x.dtype, "prepare", [&]<class T>(T) {
    const Shape& in = images.shape;
    T* out = x.as<T>();
    for (std::int64_t n = 0; n < x.shape.n; ++n) {
      const std::int64_t sample = order.as<std::int32_t>()[state->cursor + n];
      y.as<std::int32_t>()[n] = labels.as<std::int32_t>()[sample];
      const std::uint8_t* const image = images.as<std::uint8_t>() + sample * in.per_sample();
      const Placement place =
          opts.augment.active() ? draw_placement(opts.augment, state->step, n) : Placement{};
      const auto pixel_at = [&](std::int64_t h, std::int64_t w, std::int64_t c) -> int {
        const std::int64_t row = h + place.down;
        const std::int64_t column = place.column(static_cast<int>(w), static_cast<int>(in.w));
        const bool inside = row >= 0 && row < in.h && column >= 0 && column < in.w;
        return inside ? image[(row * in.w + column) * in.c + c] : 0;
      };
      for (std::int64_t p = 0; p < x.shape.h; ++p)
        for (std::int64_t q = 0; q < x.shape.w; ++q)
          for (std::int64_t c = 0; c < x.shape.c; ++c) {
            if (c >= in.c) {
              *out++ = T{};
              continue;
            }
            const Taps rows = taps_of(p, in.h, x.shape.h), columns = taps_of(q, in.w, x.shape.w);
            double value = 0;
            for (int i = 0; i < 2; ++i)
              for (int j = 0; j < 2; ++j) {
                const int pixel = pixel_at(rows.index[i], columns.index[j], c);
                const double normalised = (pixel / 255.0 - opts.mean[c]) / opts.stddev[c];
                value += rows.weight[i] * columns.weight[j] * normalised;
              }
            *out++ = static_cast<T>(value);
          }
    }
  });
}

}  // namespace lamina
