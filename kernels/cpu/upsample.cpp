// SPDX-License-Identifier: Apache-2.0
#include "kernels/upsample.h"

#include <omp.h>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/bilinear.h"
#include "kernels/cpu/device.h"

namespace lamina::cpu {
namespace {

// Tables of a call, and a row for each thread.
struct Scratch {
  Scratch(Context& ctx, const Shape& in, const Shape& out)
      : row_floats(std::max(in.w * in.c, 2 * kLanes)) {
    static_assert(sizeof(Tap) == 4 * sizeof(float));
    const std::size_t tables_size = Columns::table_floats(out.w, out.c);
    const auto rows_size = static_cast<std::size_t>(ctx.threads() * row_floats);
    tables = device_of(ctx).scratch<float>(tables_size + rows_size +
                                           static_cast<std::size_t>(4 * out.h));
    rows = tables + tables_size;
    taps = reinterpret_cast<Tap*>(rows + rows_size);
    fill_taps(in.h, out.h, taps);
  }
  float* row() const { return rows + omp_get_thread_num() * row_floats; }

  std::int64_t row_floats;
  float *tables, *rows;
  Tap* taps;  // of the rows
};

}  // namespace

void upsample_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::upsample_forward(ctx, x, y);
  const Shape &in = x.shape, &out = y.shape;
  const std::int64_t in_row = in.w * in.c, out_row = out.w * out.c;
  const Scratch scratch(ctx, in, out);
  const Columns columns(in.w, out.w, in.c, scratch.tables);
  const float* const xs = x.as<float>();
  float* const ys = y.as<float>();
  const std::int64_t grain = std::max<std::int64_t>(1, 4096 / out_row);
  parallel_for(ctx, out.n * out.h, grain, [&](std::int64_t begin, std::int64_t end) {
    float* const blended = scratch.row();
    for (std::int64_t i = begin; i < end; ++i) {
      const Tap tap = scratch.taps[i % out.h];
      const float* const image = xs + i / out.h * in.h * in_row;
      map_range(
          0,
          in_row,
          [tap](const Vec& a, const Vec& b) { return a * tap.lower_weight + b * tap.upper_weight; },
          blended,
          image + tap.lower * in_row,
          image + tap.upper * in_row);
      columns.forward(blended, ys + i * out_row);
    }
  });
}

void upsample_backward(Context& ctx, const Tensor& dy, const Tensor& dx) {
  checks::upsample_backward(ctx, dy, dx);
  const Shape &in = dx.shape, &out = dy.shape;
  const std::int64_t in_row = in.w * in.c, out_row = out.w * out.c;
  const Scratch scratch(ctx, in, out);
  const Columns columns(in.w, out.w, in.c, scratch.tables);
  const float* const dys = dy.as<float>();
  float* const dxs = dx.as<float>();
  // A thread owns whole images, so that it may add up the rows of the output as they come.
  parallel_for(ctx, in.n, 1, [&](std::int64_t begin, std::int64_t end) {
    float* const row = scratch.row();
    for (std::int64_t n = begin; n < end; ++n) {
      float* const image = dxs + n * in.h * in_row;
      std::fill(image, image + in.h * in_row, 0.0f);
      for (std::int64_t p = 0; p < out.h; ++p) {
        const Tap tap = scratch.taps[p];
        columns.backward(dys + (n * out.h + p) * out_row, row);
        const auto add = [&](std::int64_t h, float weight) {
          float* const to = image + h * in_row;
          map_range(
              0,
              in_row,
              [weight](const Vec& sum, const Vec& v) { return sum + weight * v; },
              to,
              static_cast<const float*>(to),
              static_cast<const float*>(row));
        };
        add(tap.lower, tap.lower_weight);
        add(tap.upper, tap.upper_weight);
      }
    }
  });
}

}  // namespace lamina::cpu
