// SPDX-License-Identifier: Apache-2.0
#include "kernels/upsample.h"

#include <omp.h>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/bilinear.h"
#include "kernels/cpu/device.h"

namespace lamina::cpu {
namespace {

// Tables of a call, and for each thread a row and so many floats more.
struct Scratch {
  Scratch(Context& ctx, const Shape& in, const Shape& out, std::int64_t more = 0)
      : blended_floats(std::max(in.w * in.c, 2 * kLanes)), row_floats(blended_floats + more) {
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
  float* behind_row() const { return row() + blended_floats; }

  std::int64_t blended_floats, row_floats;
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
  const std::int64_t grain = std::max<std::int64_t>(1, 4096 / out_row);
  visit_storage(x.dtype, [&]<class T>(T) {
    const T* const xs = x.as<T>();
    T* const ys = y.as<T>();
    parallel_for(ctx, out.n * out.h, grain, [&](std::int64_t begin, std::int64_t end) {
      float* const blended = scratch.row();
      for (std::int64_t i = begin; i < end; ++i) {
        const Tap tap = scratch.taps[i % out.h];
        const T* const image = xs + i / out.h * in.h * in_row;
        map_range(
            0,
            in_row,
            [tap](const Vec& a, const Vec& b) {
              return a * tap.lower_weight + b * tap.upper_weight;
            },
            blended,
            image + tap.lower * in_row,
            image + tap.upper * in_row);
        columns.forward(blended, ys + i * out_row);
      }
    });
  });
}

void upsample_backward(Context& ctx, const Tensor& dy, const Tensor& dx) {
  checks::upsample_backward(ctx, dy, dx);
  const Shape &in = dx.shape, &out = dy.shape;
  const std::int64_t in_row = in.w * in.c, out_row = out.w * out.c;
  // In bf16 a thread adds up an image in f32.
  const std::int64_t floats = in.h * in_row;
  const Scratch scratch(ctx, in, out, dx.dtype == DType::f32 ? 0 : floats);
  const Columns columns(in.w, out.w, in.c, scratch.tables);
  visit_storage(dx.dtype, [&]<class T>(T) {
    const T* const dys = dy.as<T>();
    T* const dxs = dx.as<T>();
    // A thread owns whole images, so that it may add up the rows of the output as they come.
    parallel_for(ctx, in.n, 1, [&](std::int64_t begin, std::int64_t end) {
      float* const row = scratch.row();
      for (std::int64_t n = begin; n < end; ++n) {
        float* image = scratch.behind_row();
        if constexpr (std::is_same_v<T, float>) image = dxs + n * floats;
        std::fill(image, image + floats, 0.0f);
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
                to,
                row);
          };
          add(tap.lower, tap.lower_weight);
          add(tap.upper, tap.upper_weight);
        }
        if constexpr (!std::is_same_v<T, float>)
          map_range(
              0, floats, [](const Vec& v) { return v; }, dxs + n * floats, image);
      }
    });
  });
}

}  // namespace lamina::cpu
