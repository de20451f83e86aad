// The batch from the resident data set, row by row. Contract: kernels/prepare.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/prepare.h"

#include <omp.h>

#include <algorithm>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/bilinear.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/prepare_augmented.h"

namespace lamina::cpu {

void fill_levels(const PrepareOpts& opts,
                 const Colour& colour,
                 std::int64_t channels,
                 float* table) {
  for (std::int64_t c = 0; c < channels; ++c) {
    const double shift = opts.augment.colour > 0 ? colour.shift[c] : 0;
    for (std::int64_t level = 0; level < kLevels; ++level)
      table[c * kLevels + level] = static_cast<float>(
          (static_cast<double>(level) / 255.0 + shift - opts.mean[c]) / opts.stddev[c]);
  }
}

void normalise(const std::uint8_t* pixels,
               std::int64_t count,
               std::int64_t channels,
               const float* table,
               float* out) {
  if (channels == 1) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = table[pixels[i]];
    return;
  }
  if (channels == 3) {  // a number that the compiler knows
    for (std::int64_t i = 0; i < count; i += 3)
      for (std::int64_t c = 0; c < 3; ++c) out[i + c] = table[c * kLevels + pixels[i + c]];
    return;
  }
  for (std::int64_t i = 0; i < count; i += channels)
    for (std::int64_t c = 0; c < channels; ++c) out[i + c] = table[c * kLevels + pixels[i + c]];
}

void widen(
    const float* from, std::int64_t pixels, std::int64_t channels, std::int64_t wide, float* to) {
  for (std::int64_t i = 0; i < pixels; ++i) {
    std::copy_n(from + i * channels, channels, to + i * wide);
    std::fill_n(to + i * wide + channels, wide - channels, 0.0f);
  }
}

namespace {

// Without anything that is drawn.
void gather(Context& ctx,
            const PrepareOpts& opts,
            const Tensor& images,
            const std::int32_t* samples,
            const Tensor& x) {
  const Shape &in = images.shape, &out = x.shape;
  const std::int64_t in_row = in.w * in.c, out_row = out.w * out.c;
  const bool resize = in.h != out.h || in.w != out.w, padded = in.c != out.c;
  // Scratch: the levels, the column tables, and for each thread two normalised rows, their blend,
  // a row before its channels are padded and one before it is rounded.
  const std::int64_t row_floats = std::max({in_row, out_row, 2 * kLanes});
  const std::size_t tables_size = Columns::table_floats(out.w, in.c);
  float* const levels = device_of(ctx).scratch<float>(
      static_cast<std::size_t>(in.c * kLevels + 4 * out.h + 5 * ctx.threads() * row_floats) +
      tables_size);
  float* const tables = levels + in.c * kLevels;
  auto* const taps = reinterpret_cast<Tap*>(tables + tables_size);
  float* const rows = tables + tables_size + 4 * out.h;
  fill_levels(opts, {}, in.c, levels);

  const auto own_rows = [&] { return rows + 5 * omp_get_thread_num() * row_floats; };
  const std::uint8_t* const pixels = images.as<std::uint8_t>();
  const auto source_row = [&](std::int64_t n, std::int64_t h) -> const std::uint8_t* {
    return pixels + samples[n] * in.per_sample() + h * in_row;
  };
  if (!resize && !padded) {
    const std::int64_t grain = std::max<std::int64_t>(1, 4096 / out.per_sample());
    visit_storage(x.dtype, [&]<class T>(T) {
      const std::int64_t at_once = std::is_same_v<T, float> ? in.h : 1;  // rows
      parallel_for(ctx, out.n, grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t n = begin; n < end; ++n)
          for (std::int64_t h = 0; h < in.h; h += at_once)
            make_row(x.as<T>() + (n * in.h + h) * in_row, in_row, own_rows(), [&](float* row) {
              normalise(source_row(n, h), at_once * in_row, in.c, levels, row);
            });
      });
    });
    return;
  }

  const Columns columns(in.w, out.w, in.c, tables);
  fill_taps(in.h, out.h, taps);
  const std::int64_t grain = std::max<std::int64_t>(1, 4096 / out_row);
  visit_storage(x.dtype, [&]<class T>(T) {
    parallel_for(ctx, out.n * out.h, grain, [&](std::int64_t begin, std::int64_t end) {
      float* const spare = own_rows();
      float* const upper = spare + row_floats;
      float* const lower = upper + row_floats;
      float* const blended = lower + row_floats;
      float* const narrow = blended + row_floats;
      for (std::int64_t i = begin; i < end; ++i) {
        const Tap tap = taps[i % out.h];
        normalise(source_row(i / out.h, tap.lower), in_row, in.c, levels, lower);
        normalise(source_row(i / out.h, tap.upper), in_row, in.c, levels, upper);
        map_range(
            0,
            in_row,
            [tap](const Vec& a, const Vec& b) {
              return a * tap.lower_weight + b * tap.upper_weight;
            },
            blended,
            lower,
            upper);
        make_row(x.as<T>() + i * out_row, out_row, spare, [&](float* row) {
          columns.forward(blended, padded ? narrow : row);
          if (padded) widen(narrow, out.w, in.c, out.c, row);
        });
      }
    });
  });
}

}  // namespace

void prepare(Context& ctx,
             const PrepareOpts& opts,
             const StepState* state,
             const Tensor& images,
             const Tensor& labels,
             const Tensor& order,
             const Tensor& x,
             const Tensor& y,
             const Tensor& pixels) {
  checks::prepare(ctx, opts, state, images, labels, order, x, y, pixels);
  const Shape &in = images.shape, &out = x.shape;
  const std::int32_t* const samples = checks::batch_samples(*state, order, out.n, in.n);
  for (std::int64_t n = 0; n < out.n; ++n)
    y.as<std::int32_t>()[n] = labels.as<std::int32_t>()[samples[n]];
  const std::int32_t* const from = pixels ? pixels.as<std::int32_t>() : nullptr;
  const PrepareArgs args{opts, *state, in, images.as<std::uint8_t>(), samples, from, x};
  const float weight = opts.mixup.active() ? draw_mixup_weight(opts.mixup, state->step) : 1.0f;
  if (opts.mixup.active() && x.dtype == DType::bf16) {
    prepare_mixed(ctx, args, weight);
    return;
  }
  if (opts.augment.active() || pixels)
    prepare_augmented(ctx, args);
  else
    gather(ctx, opts, images, samples, x);
  if (opts.mixup.active()) mix(ctx, weight, x);
}

}  // namespace lamina::cpu
