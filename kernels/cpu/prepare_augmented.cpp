// Row by row, each thread with tables for the sample it is at. Contract: kernels/prepare.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/prepare_augmented.h"

#include <omp.h>

#include <algorithm>
#include <optional>

#include "engine/core/parallel.h"
#include "kernels/cpu/bilinear.h"
#include "kernels/cpu/device.h"

namespace lamina::cpu {
namespace {

// Makes the rows of one sample after the other in scratch memory of its thread.
class Rows {
 public:
  // Of a thread: the levels, the columns' tables, and two normalised rows, their blend, a row
  // before its channels are padded, one before it is rounded and a row of bytes.
  static std::int64_t scratch_floats(const Shape& in, const Shape& out) {
    const auto tables = static_cast<std::int64_t>(Columns::table_floats(out.w, in.c));
    return in.c * kLevels + tables + 6 * row_floats(in, out);
  }

  Rows(const PrepareArgs& args, float* scratch) : args_(args), levels_(scratch) {
    const std::int64_t floats = row_floats(args.in, args.x.shape);
    tables_ = levels_ + args.in.c * kLevels;
    lower_ = tables_ + Columns::table_floats(args.x.shape.w, args.in.c);
    upper_ = lower_ + floats;
    blended_ = upper_ + floats;
    narrow_ = blended_ + floats;
    spare_ = narrow_ + floats;
    bytes_ = reinterpret_cast<std::uint8_t*>(spare_ + floats);
  }

  // Row p of the n-th sample of the batch, to x.
  void make(std::int64_t n, std::int64_t p) {
    if (n != sample_) begin(n);
    const Shape& out = args_.x.shape;
    const std::int64_t out_row = out.w * out.c;
    visit_storage(args_.x.dtype, [&]<class T>(T) {
      make_row(args_.x.as<T>() + (n * out.h + p) * out_row, out_row, spare_, [&](float* row) {
        make_floats(p, row);
      });
    });
  }
  // The same to memory of the thread.
  const float* make_apart(std::int64_t n, std::int64_t p) {
    if (n != sample_) begin(n);
    make_floats(p, spare_);
    return spare_;
  }

 private:
  void make_floats(std::int64_t p, float* to) {
    const Shape &in = args_.in, &out = args_.x.shape;
    const Placement& place = drawn_.place;
    float* const made = in.c == out.c ? to : narrow_;
    const std::int64_t row = place.width * in.c;
    const Tap tap = tap_of(p, place.height, out.h);
    if (place.height == out.h && place.width == out.w) {
      normalise(source(p), row, in.c, levels_, made);
    } else {
      normalise(source(tap.lower), row, in.c, levels_, lower_);
      normalise(source(tap.upper), row, in.c, levels_, upper_);
      for (std::int64_t i = 0; i < row; ++i)
        blended_[i] = lower_[i] * tap.lower_weight + upper_[i] * tap.upper_weight;
      columns_->forward(blended_, made);
    }
    cut_out(p, made);
    if (made != to) widen(made, out.w, in.c, out.c, to);
  }

  static std::int64_t row_floats(const Shape& in, const Shape& out) {
    return std::max({in.w * in.c, out.w * out.c, 2 * kLanes});
  }

  void begin(std::int64_t n) {
    const Shape &in = args_.in, &out = args_.x.shape;
    draw_augmentation(args_.opts.augment,
                      static_cast<int>(in.h),
                      static_cast<int>(in.w),
                      static_cast<int>(out.h),
                      static_cast<int>(out.w),
                      args_.state.step,
                      n,
                      drawn_);
    if (sample_ < 0 || args_.opts.augment.colour > 0)
      fill_levels(args_.opts, drawn_.colour, in.c, levels_);
    if (!columns_ || drawn_.place.width != width_)
      columns_.emplace(width_ = drawn_.place.width, out.w, in.c, tables_);
    sample_ = n;
  }

  // Row h of the part of the image, as bytes.
  const std::uint8_t* source(std::int64_t h) {
    const Shape& in = args_.in;
    const Placement& place = drawn_.place;
    const std::uint8_t* const image = args_.images + args_.order[sample_] * in.per_sample();
    const std::int64_t row = h + place.down;
    std::fill_n(bytes_, place.width * in.c, std::uint8_t{0});
    if (row < 0 || row >= in.h) return bytes_;
    for (int w = 0; w < place.width; ++w) {
      const std::int64_t column = place.column(w);
      if (column < 0 || column >= in.w) continue;
      std::int64_t pixel = row * in.w + column;
      if (args_.pixels != nullptr) pixel = args_.pixels[pixel];
      std::copy_n(image + pixel * in.c, in.c, bytes_ + w * in.c);
    }
    return bytes_;
  }

  void cut_out(std::int64_t p, float* row) const {
    const Square& hole = drawn_.hole;
    const std::int64_t left = std::max(hole.left, 0),
                       right = std::min<std::int64_t>(hole.left + hole.size, args_.x.shape.w);
    if (left < right && hole.covers(static_cast<int>(p), static_cast<int>(left)))
      std::fill(row + left * args_.in.c, row + right * args_.in.c, 0.0f);
  }

  const PrepareArgs& args_;
  float *levels_, *tables_, *lower_, *upper_, *blended_, *narrow_, *spare_;
  std::uint8_t* bytes_;
  std::int64_t sample_ = -1;
  Augmentation drawn_{};
  std::optional<Columns> columns_;  // from width_
  std::int64_t width_ = 0;
};

}  // namespace

void prepare_augmented(Context& ctx, const PrepareArgs& args) {
  const Shape& out = args.x.shape;
  const std::int64_t floats = Rows::scratch_floats(args.in, out);
  float* const scratch =
      device_of(ctx).scratch<float>(static_cast<std::size_t>(ctx.threads() * floats));
  const std::int64_t grain = std::max<std::int64_t>(1, 4096 / (out.w * out.c));
  parallel_for(ctx, out.n * out.h, grain, [&](std::int64_t begin, std::int64_t end) {
    Rows rows(args, scratch + omp_get_thread_num() * floats);
    for (std::int64_t i = begin; i < end; ++i) rows.make(i / out.h, i % out.h);
  });
}

void mix(Context& ctx, float weight, const Tensor& x) {
  const std::int64_t per_sample = x.shape.per_sample();
  const std::int64_t grain = std::max<std::int64_t>(1, 4096 / per_sample);
  const float rest = 1.0f - weight;
  parallel_for(ctx, x.shape.n / 2, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      float* const first = x.as<float>() + n * per_sample;
      float* const last = x.as<float>() + (x.shape.n - 1 - n) * per_sample;
      for (std::int64_t i = 0; i < per_sample; ++i) {
        const float a = first[i], b = last[i];
        first[i] = weight * a + rest * b;
        last[i] = weight * b + rest * a;
      }
    }
  });
}

void prepare_mixed(Context& ctx, const PrepareArgs& args, float weight) {
  const Shape& out = args.x.shape;
  const std::int64_t row = out.w * out.c, pairs = (out.n + 1) / 2;
  const std::int64_t floats = Rows::scratch_floats(args.in, out);
  float* const scratch =
      device_of(ctx).scratch<float>(static_cast<std::size_t>(2 * ctx.threads() * floats));
  const auto blend = [own = weight, other = 1.0f - weight](const Vec& a, const Vec& b) {
    return own * a + other * b;
  };
  const std::int64_t grain = std::max<std::int64_t>(1, 2048 / row);
  parallel_for(ctx, pairs * out.h, grain, [&](std::int64_t begin, std::int64_t end) {
    float* const own = scratch + 2 * omp_get_thread_num() * floats;
    Rows firsts(args, own), lasts(args, own + floats);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n = i / out.h, p = i % out.h, partner = out.n - 1 - n;
      const float* const a = firsts.make_apart(n, p);
      const float* const b = lasts.make_apart(partner, p);
      bf16* const xs = args.x.as<bf16>() + p * row;
      if (partner == n) {  // the middle one stays as it is
        map_range(
            0, row, [](const Vec& v) { return v; }, xs + n * out.h * row, a);
        continue;
      }
      map_range(0, row, blend, xs + n * out.h * row, a, b);
      map_range(0, row, blend, xs + partner * out.h * row, b, a);
    }
  });
}

}  // namespace lamina::cpu
