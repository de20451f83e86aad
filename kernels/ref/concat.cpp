// Channels side by side in plain loops. Contract: kernels/concat.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/concat.h"

#include "kernels/checks.h"

namespace lamina {

void ref::concat(Context& ctx, std::span<const Tensor> x, const Tensor& y) {
  checks::concat(ctx, x, y);
  visit_real(y.dtype, "concat", [&]<class T>(T) {
    std::int64_t first = 0;
    for (const Tensor& part : x) {
      for (std::int64_t row = 0; row < y.rows(); ++row)
        for (std::int64_t c = 0; c < part.shape.c; ++c)
          y.as<T>()[row * y.row() + first + c] = part.as<T>()[row * part.row() + c];
      first += part.shape.c;
    }
  });
}

void ref::split(Context& ctx,
                const Tensor& dy,
                std::span<const Tensor> dx,
                std::span<const std::int64_t> channels) {
  checks::split(ctx, dy, dx, channels);
  visit_real(dy.dtype, "split", [&]<class T>(T) {
    std::int64_t first = 0;
    for (std::size_t i = 0; i < dx.size(); ++i) {
      for (std::int64_t row = 0; dx[i] && row < dy.rows(); ++row)
        for (std::int64_t c = 0; c < channels[i]; ++c)
          dx[i].as<T>()[row * dx[i].row() + c] = dy.as<T>()[row * dy.row() + first + c];
      first += channels[i];
    }
  });
}

}  // namespace lamina
