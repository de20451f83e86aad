// Convolution for few channels, where oneDNN pads 1 or 6 channels to a whole vector: the lanes of a
// vector are images instead, so that any number of channels keeps them busy.
//
// A thread takes a tile of sixteen images, turns the rows it needs into lane order (vec_lanes.h),
// runs the register-blocked loops of conv2d_blocks.h and turns the results back. The gradient of
// the data is the same correlation with the filters flipped. The gradient of the weights is summed
// over fixed groups of tiles, then over the groups in order: the result does not depend on the
// threads.
// SPDX-License-Identifier: Apache-2.0
#include <omp.h>

#include <algorithm>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/conv2d_blocks.h"
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/vec_lanes.h"
#include "kernels/cpu/vec_math.h"

namespace lamina::cpu {
namespace {

constexpr std::int64_t kMaxSlots = 16;

std::int64_t tiles_of(std::int64_t n) { return (n + kLanes - 1) / kLanes; }

Tile tile_at(std::int64_t index, const Shape& s) {
  return {std::min(kLanes, s.n - index * kLanes), s.per_sample()};
}

// Images in lane order, one row after the other, with zeros for the padding left and right. Rows
// above and below the image are not stored: the loops skip them.
struct LaneImage {
  std::int64_t h, w, c, pad;

  std::int64_t row_floats() const { return (w + 2 * pad) * c * kLanes; }
  std::int64_t floats() const { return h * row_floats(); }

  // Rows [begin, end) of the tile whose first image starts at `from`; row h lands at row h - begin.
  void gather(
      const Tile& tile, const float* from, std::int64_t begin, std::int64_t end, float* to) const {
    const std::int64_t row = w * c;
    if (pad == 0) {
      gather_lanes(tile, from + begin * row, (end - begin) * row, to);
      return;
    }
    const std::int64_t edge = pad * c * kLanes;
    for (std::int64_t y = begin; y < end; ++y, to += row_floats()) {
      std::fill_n(to, edge, 0.0f);
      gather_lanes(tile, from + y * row, row, to + edge);
      std::fill_n(to + row_floats() - edge, edge, 0.0f);
    }
  }
};

// y[p,q,k] = act(bias[k] + sum of x[p*stride_h + r - pad_h, q*stride_w + s - pad_w, c] *
// w[k,r,s,c])
struct Correlation {
  Shape in, out;
  std::int64_t r, s, stride_h, stride_w, pad_h, pad_w;
  BlockSize block{1, 1};

  void plan() {
    block = choose_block(out.c, out.w, [this](std::int64_t q, std::int64_t count) {
      const Range taps = taps_at(q, count);
      return r * (taps.end - taps.begin);
    });
  }

  LaneImage lanes() const { return {in.h, in.w, in.c, pad_w}; }
  std::int64_t weights() const { return out.c * r * s * in.c; }
  std::int64_t scratch_floats() const { return lanes().floats() + out.w * out.c * kLanes; }

  struct Range {
    std::int64_t begin, end;
  };
  // The window rows that lie inside the image for output row p.
  Range rows_at(std::int64_t p) const {
    const std::int64_t top = p * stride_h - pad_h;
    return {std::max<std::int64_t>(0, -top), std::max<std::int64_t>(0, std::min(r, in.h - top))};
  }
  // The taps that are not padding for all outputs [q, q + count).
  Range taps_at(std::int64_t q, std::int64_t count) const {
    const std::int64_t first = q * stride_w - pad_w, last = (q + count - 1) * stride_w - pad_w;
    const std::int64_t begin = std::clamp<std::int64_t>(-last, 0, s);
    const std::int64_t end = std::clamp<std::int64_t>(in.w - first, begin, s);
    return {begin * in.c, end * in.c};
  }

  // Output rows [begin, end) of one tile. w: packed, see pack().
  template <class A>
  void run(A act,
           std::int64_t tile_index,
           std::int64_t begin,
           std::int64_t end,
           const float* x,
           const float* w,
           const float* bias,
           float* y,
           float* scratch) const {
    const LaneImage image = lanes();
    const std::int64_t taps = s * in.c, first_image = tile_index * kLanes;
    const std::int64_t top = std::clamp<std::int64_t>(begin * stride_h - pad_h, 0, in.h);
    const std::int64_t bottom =
        std::clamp<std::int64_t>((end - 1) * stride_h - pad_h + r, top, in.h);
    image.gather(tile_at(tile_index, in), x + first_image * in.per_sample(), top, bottom, scratch);
    float* const row = scratch + image.floats();
    const std::int64_t row_floats = out.w * out.c;
    for (std::int64_t p = begin; p < end; ++p) {
      const Range rows = rows_at(p);
      CorrelateArgs args{};
      args.rows = std::max<std::int64_t>(0, rows.end - rows.begin);
      args.x_row = image.row_floats();
      args.x_step = stride_w * in.c * kLanes;
      args.out_step = out.c * kLanes;
      const float* const x_row =
          scratch + (p * stride_h - pad_h + rows.begin - top) * image.row_floats();
      for_each_block(out.c, block.a, [&](std::int64_t k, std::int64_t a) {
        args.w_row = taps * a;
        args.w = w + k * r * taps + rows.begin * args.w_row;
        args.bias = bias + k;
        for_each_block(out.w, block.b, [&](std::int64_t q, std::int64_t b) {
          const Range valid = taps_at(q, b);
          args.taps_begin = valid.begin;
          args.taps_end = valid.end;
          args.x = x_row + q * args.x_step;
          args.out = row + (q * out.c + k) * kLanes;
          correlate_block(a, b)(args);
        });
      });
      if constexpr (!std::is_same_v<A, Identity>)
        map_range(
            0,
            row_floats * kLanes,
            [=](const Vec& v) { return act.forward(v); },
            row,
            static_cast<const float*>(row));
      scatter_lanes(tile_at(tile_index, out),
                    row,
                    row_floats,
                    y + first_image * out.per_sample() + p * row_floats);
    }
  }

  // packed[block of filters][r][tap][filter in block] = weight(filter, r, s, c)
  template <class Weight>
  void pack(float* packed, const Weight& weight) const {
    for_each_block(out.c, block.a, [&](std::int64_t k, std::int64_t a) {
      for (std::int64_t y = 0; y < r; ++y)
        for (std::int64_t x = 0; x < s; ++x)
          for (std::int64_t c = 0; c < in.c; ++c)
            for (std::int64_t i = 0; i < a; ++i) *packed++ = weight(k + i, y, x, c);
    });
  }
};

class ImagesConv2d final : public NamedConv2d {
 public:
  ImagesConv2d(Context& ctx, const Conv2dDesc& desc)
      : ctx_(ctx),
        desc_(desc),
        y_(desc.y()),
        taps_(desc.s * desc.x.c),
        forward_{desc.x, y_, desc.r, desc.s, desc.stride_h, desc.stride_w, desc.pad_h, desc.pad_w},
        backward_{
            y_, desc.x, desc.r, desc.s, 1, 1, desc.r - 1 - desc.pad_h, desc.s - 1 - desc.pad_w} {
    forward_.plan();
    backward_.plan();
    gradient_ =
        choose_block(desc.k, taps_, [this](std::int64_t, std::int64_t) { return y_.h * y_.w; });
  }

  std::size_t workspace_bytes() const override {
    std::int64_t floats = correlation_floats(forward_);
    if (desc_.backward_data) floats = std::max(floats, correlation_floats(backward_));
    if (desc_.backward_weights)
      floats = std::max(floats, slots() * slot_floats() + ctx_.threads() * gradient_floats());
    return static_cast<std::size_t>(floats) * sizeof(float);
  }

  Conv2dNames names() const override {
    const auto name = [](bool planned, const BlockSize& block) {
      return Conv2dPass{planned ? fmt::format("images {}x{}", block.a, block.b) : std::string{}};
    };
    return {name(true, forward_.block),
            name(desc_.backward_data, backward_.block),
            name(desc_.backward_weights, gradient_)};
  }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::conv2d_forward(desc_, x, w, b, y);
    const float* const ws = w.as<float>();
    correlate(
        forward_,
        desc_.act,
        x.as<float>(),
        [&](std::int64_t k, std::int64_t r, std::int64_t s, std::int64_t c) {
          return ws[(k * desc_.r + r) * taps_ + s * desc_.x.c + c];
        },
        desc_.bias ? b.as<float>() : nullptr,
        y.as<float>(),
        static_cast<float*>(workspace));
  }

  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    checks::conv2d_backward_data(desc_, dy, w, dx);
    const float* const ws = w.as<float>();
    correlate(
        backward_,
        Act::none,
        dy.as<float>(),
        [&](std::int64_t c, std::int64_t r, std::int64_t s, std::int64_t k) {
          const std::int64_t row = k * desc_.r + desc_.r - 1 - r;
          return ws[row * taps_ + (desc_.s - 1 - s) * desc_.x.c + c];
        },
        nullptr,
        dx.as<float>(),
        static_cast<float*>(workspace));
  }

  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    checks::conv2d_backward_weights(desc_, x, y, dy, dw, db);
    if (desc_.act != Act::none) act_backward(ctx_, desc_.act, y, dy, dy);
    float* const sums = static_cast<float*>(workspace);
    float* const scratch = sums + slots() * slot_floats();
    const std::int64_t tiles = tiles_of(desc_.x.n), slot_count = slots();
    parallel_for(ctx_, slot_count, 1, [&](std::int64_t begin, std::int64_t end) {
      float* const own = scratch + omp_get_thread_num() * gradient_floats();
      for (std::int64_t slot = begin; slot < end; ++slot)
        sum_tiles(tiles * slot / slot_count,
                  tiles * (slot + 1) / slot_count,
                  x.as<float>(),
                  dy.as<float>(),
                  own,
                  sums + slot * slot_floats());
    });
    for (std::int64_t slot = 1; slot < slot_count; ++slot)
      map_range(
          0,
          slot_floats(),
          [](const Vec& a, const Vec& b) { return a + b; },
          sums,
          static_cast<const float*>(sums),
          static_cast<const float*>(sums + slot * slot_floats()));
    unpack_gradient(sums, dw.as<float>(), db ? db.as<float>() : nullptr);
  }

 private:
  std::int64_t slots() const { return std::min(tiles_of(desc_.x.n), kMaxSlots); }
  // Gradients of the weights and the bias, in the order of gradient blocks.
  std::int64_t slot_floats() const { return round_up(desc_.weights() + desc_.k); }
  std::int64_t gradient_floats() const {
    return forward_.lanes().floats() + (y_.per_sample() + 1) * kLanes + slot_floats() * kLanes;
  }
  // Packed weights, a bias, and each thread's scratch.
  std::int64_t correlation_floats(const Correlation& c) const {
    return round_up(c.weights()) + round_up(c.out.c) + ctx_.threads() * c.scratch_floats();
  }

  template <class Weight>
  void correlate(const Correlation& c,
                 Act act,
                 const float* x,
                 const Weight& weight,
                 const float* bias,
                 float* y,
                 float* workspace) {
    float* const packed = workspace;
    float* const zeros = packed + round_up(c.weights());
    float* const scratch = zeros + round_up(c.out.c);
    c.pack(packed, weight);
    std::fill_n(zeros, c.out.c, 0.0f);
    const float* const start = bias != nullptr ? bias : zeros;
    // Fewer tiles than threads: their rows are split too.
    const std::int64_t tiles = tiles_of(c.in.n);
    const std::int64_t strips = std::min((ctx_.threads() + tiles - 1) / tiles, c.out.h);
    visit_act(act, [&](auto a) {
      parallel_for(ctx_, tiles * strips, 1, [&](std::int64_t begin, std::int64_t end) {
        float* const own = scratch + omp_get_thread_num() * c.scratch_floats();
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t strip = i % strips;
          c.run(a,
                i / strips,
                c.out.h * strip / strips,
                c.out.h * (strip + 1) / strips,
                x,
                packed,
                start,
                y,
                own);
        }
      });
    });
  }

  // Calls body(first filter, filters, r, first tap, taps) in the order of the sums.
  template <class Body>
  void for_each_gradient_block(const Body& body) const {
    for_each_block(desc_.k, gradient_.a, [&](std::int64_t k, std::int64_t a) {
      for (std::int64_t r = 0; r < desc_.r; ++r)
        for_each_block(
            taps_, gradient_.b, [&](std::int64_t t, std::int64_t b) { body(k, a, r, t, b); });
    });
  }

  // The gradient over tiles [begin, end), lanes added up: `sums`.
  void sum_tiles(std::int64_t begin,
                 std::int64_t end,
                 const float* x,
                 const float* dy,
                 float* scratch,
                 float* sums) const {
    const LaneImage image = forward_.lanes();
    float* const x_lanes = scratch;
    float* const dy_lanes = x_lanes + image.floats();
    float* const ones = dy_lanes + y_.per_sample() * kLanes;
    float* const lane_sums = ones + kLanes;
    std::fill_n(ones, kLanes, 1.0f);
    // What rounds the slot up to whole vectors is not the gradient of anything.
    const std::int64_t used = desc_.weights() + desc_.k;
    std::fill_n(lane_sums + used * kLanes, (slot_floats() - used) * kLanes, 0.0f);
    for (std::int64_t tile = begin; tile < end; ++tile) {
      const std::int64_t first = tile * kLanes;
      image.gather(tile_at(tile, desc_.x), x + first * desc_.x.per_sample(), 0, desc_.x.h, x_lanes);
      gather_lanes(tile_at(tile, y_), dy + first * y_.per_sample(), y_.per_sample(), dy_lanes);
      add_tile(x_lanes, dy_lanes, ones, tile > begin, lane_sums);
    }
    for (std::int64_t i = 0; i < slot_floats(); i += kLanes) {
      Vec m[kLanes];
      for (int lane = 0; lane < kLanes; ++lane) m[lane] = load(lane_sums + (i + lane) * kLanes);
      store(sums + i, sum_each(m));
    }
  }

  // The gradient over one tile, added to the sums or put there.
  void add_tile(const float* x, const float* dy, const float* ones, bool add, float* sums) const {
    const std::int64_t x_row = forward_.lanes().row_floats();
    GradientArgs args{};
    args.add = add;
    args.x_row = desc_.stride_h * x_row;
    args.dy_step = y_.c * kLanes;
    args.dy_row = y_.w * args.dy_step;
    for_each_block(desc_.k, gradient_.a, [&](std::int64_t k, std::int64_t a) {
      args.x_step = desc_.stride_w * desc_.x.c * kLanes;
      args.pixels = y_.w;
      for (std::int64_t r = 0; r < desc_.r; ++r) {
        // Output rows whose window row r lies inside the image.
        const std::int64_t above = std::max<std::int64_t>(0, desc_.pad_h - r);
        const std::int64_t below = desc_.x.h - 1 + desc_.pad_h - r;
        const std::int64_t begin = (above + desc_.stride_h - 1) / desc_.stride_h;
        const std::int64_t end = below < 0 ? 0 : std::min(y_.h, below / desc_.stride_h + 1);
        args.rows = std::max<std::int64_t>(0, end - begin);
        args.dy = dy + begin * args.dy_row + k * kLanes;
        const float* const row = x + (begin * desc_.stride_h + r - desc_.pad_h) * x_row;
        args.sums = sums + (k * desc_.r + r * a) * taps_ * kLanes;
        for_each_block(taps_, gradient_.b, [&](std::int64_t t, std::int64_t b) {
          args.x = row + t * kLanes;
          gradient_block(a, b)(args);
          args.sums += a * b * kLanes;
        });
      }
      // The bias: a tap whose input is one everywhere.
      args.x = ones;
      args.x_step = 0;
      args.dy = dy + k * kLanes;
      args.sums = sums + (desc_.weights() + k) * kLanes;
      args.rows = 1;
      args.pixels = y_.h * y_.w;
      gradient_block(a, 1)(args);
    });
  }

  void unpack_gradient(const float* sums, float* dw, float* db) const {
    const float* from = sums;
    for_each_gradient_block(
        [&](std::int64_t k, std::int64_t a, std::int64_t r, std::int64_t t, std::int64_t b) {
          for (std::int64_t i = 0; i < a; ++i)
            for (std::int64_t j = 0; j < b; ++j)
              dw[((k + i) * desc_.r + r) * taps_ + t + j] = *from++;
        });
    if (db != nullptr) std::copy_n(sums + desc_.weights(), desc_.k, db);
  }

  Context& ctx_;
  Conv2dDesc desc_;
  Shape y_;
  std::int64_t taps_;
  Correlation forward_, backward_;
  BlockSize gradient_{1, 1};
};

}  // namespace

bool images_conv2d_can_run(const Conv2dDesc& desc) {
  const bool plain = desc.groups == 1 && desc.dilation_h == 1 && desc.dilation_w == 1;
  // The flipped correlation of the data gradient needs unit stride and padding within the window.
  const bool flips =
      desc.stride_h == 1 && desc.stride_w == 1 && desc.pad_h < desc.r && desc.pad_w < desc.s;
  return plain && (flips || !desc.backward_data);
}

std::unique_ptr<NamedConv2d> make_images_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return std::make_unique<ImagesConv2d>(ctx, desc);
}

}  // namespace lamina::cpu
