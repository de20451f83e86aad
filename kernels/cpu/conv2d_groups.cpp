// Convolution in groups of as many inputs as filters, so few that several groups share a vector, or
// one fills it: ResNeXt's first blocks. (Groups of one are oneDNN's: it is twice as fast there.)
//
// The lanes of a vector are channels. Filter and input j of their group meet in
//   y[lane] += x[lane / G * G + j] * w[tap][j][lane]
// where the lanes of x are moved within its register. The filters are copied into that order, for
// the gradient of the data with their ends exchanged: along a row of dx, the columns that are a
// multiple of the stride apart hang on neighbouring columns of dy. Threads take rows; the gradient
// of the weights is added up by fixed chunks of rows. The bits depend on no thread.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <utility>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/bias_gradient.h"
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/vec_math.h"

namespace lamina::cpu {
namespace {

constexpr std::int64_t kMostTaps = 64;  // of a window
constexpr int kAcross = 7;              // outputs side by side in registers: maps are 7, 14, 28...
constexpr std::int64_t kSegment = 32;   // outputs of a row that a sum in registers runs over

// Element j of each lane's group of so many.
template <int group, int j, int... lane>
LAMINA_INLINE Vec member(const Vec& v, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(v, v, (lane / group * group + j)...);
}
template <int group, int j>
LAMINA_INLINE Vec member(const float* x) {
  if constexpr (group == kLanes) return splat(x[j]);
  return member<group, j>(load(x), std::make_integer_sequence<int, kLanes>{});
}

// Calls body with j = 0, 1, ... as constants.
template <class Body, int... j>
LAMINA_INLINE void for_each(const Body& body, std::integer_sequence<int, j...>) {
  (body(std::integral_constant<int, j>{}), ...);
}
template <int count, class Body>
LAMINA_INLINE void for_each(const Body& body) {
  for_each(body, std::make_integer_sequence<int, count>{});
}

// A tap of a window that lies inside for some outputs of a row: the row it reads, the column that
// the first output has there, and its number in the window.
struct Tap {
  const float* row;
  std::int64_t column, number;
};

// A row of outputs, or every so many of its columns.
struct Line {
  std::array<Tap, kMostTaps> taps;
  int count = 0;
  std::int64_t step = 1, columns = 0;  // from an output to the next in a tap's row; its length
  float* to = nullptr;
  std::int64_t to_step = 1, outputs = 0;
};

template <int group, class Act>
class Rows {
 public:
  // w: [block of kLanes channels][tap][member of the group][lane]
  Rows(const Act& act, std::int64_t channels, std::int64_t taps, const float* w, const float* bias)
      : act_(act), channels_(channels), taps_(taps), w_(w), bias_(bias) {}

  void run(const Line& line) const {
    std::int64_t t = 0;
    for (; t + kAcross <= line.outputs; t += kAcross) {
      if (is_inside(line, t, kAcross))
        outputs<kAcross, true>(line, t);
      else
        outputs<kAcross, false>(line, t);
    }
    for (; t < line.outputs; ++t) outputs<1, false>(line, t);
  }

 private:
  static bool is_inside(const Line& line, std::int64_t t, std::int64_t count) {
    return std::all_of(line.taps.begin(), line.taps.begin() + line.count, [&](const Tap& tap) {
      return tap.column + t * line.step >= 0 &&
             tap.column + (t + count - 1) * line.step < line.columns;
    });
  }

  template <int across, bool inside>
  void outputs(const Line& line, std::int64_t t) const {
    for (std::int64_t c = 0; c < channels_; c += kLanes) {
      const float* const w = w_ + c * taps_ * group;
      Vec sum[across];
      LAMINA_UNROLL
      for (int i = 0; i < across; ++i) sum[i] = bias_ != nullptr ? load(bias_ + c) : Vec{};
      for (int at = 0; at < line.count; ++at) {
        const Tap& tap = line.taps[static_cast<std::size_t>(at)];
        Vec filters[group];
        LAMINA_UNROLL
        for (int j = 0; j < group; ++j) filters[j] = load(w + (tap.number * group + j) * kLanes);
        LAMINA_UNROLL
        for (int i = 0; i < across; ++i) {
          const std::int64_t column = tap.column + (t + i) * line.step;
          if (!inside && (column < 0 || column >= line.columns)) continue;
          const float* const x = tap.row + column * channels_ + c;
          for_each<group>(
              [&](auto j) { sum[i] = multiply_add(member<group, j>(x), filters[j], sum[i]); });
        }
      }
      LAMINA_UNROLL
      for (int i = 0; i < across; ++i)
        store(line.to + (t + i) * line.to_step * channels_ + c, act_.forward(sum[i]));
    }
  }

  Act act_;
  std::int64_t channels_, taps_;
  const float *w_, *bias_;
};

// The gradient of some taps of a row of the window.
template <int group>
class Gradient {
 public:
  // As many taps as have their sums in registers.
  static constexpr int kTaps = std::clamp<int>((static_cast<int>(kRegisters) - 4) / group, 1, 3);

  // Adds, to dw [tap][member][lane], the products of outputs [begin, end) of a row of dy with what
  // `taps` neighbouring taps meet in a row of x, the first of them in `column` and the next
  // `dilation` further.
  static void add(const Conv2dDesc& d,
                  const float* dy,
                  const float* x,
                  std::int64_t begin,
                  std::int64_t end,
                  std::int64_t column,
                  std::int64_t taps,
                  float* dw) {
    if (taps == kTaps)
      add_taps<kTaps>(d, dy, x, begin, end, column, dw);
    else
      for (std::int64_t i = 0; i < taps; ++i)
        add_taps<1>(d, dy, x, begin, end, column + i * d.dilation_w, dw + i * group * kLanes);
  }

 private:
  template <int taps>
  static void add_taps(const Conv2dDesc& d,
                       const float* dy,
                       const float* x,
                       std::int64_t begin,
                       std::int64_t end,
                       std::int64_t column,
                       float* dw) {
    const std::int64_t last = column + (taps - 1) * d.dilation_w;
    if (column + begin * d.stride_w >= 0 && last + (end - 1) * d.stride_w < d.x.w)
      add_outputs<taps, true>(d, dy, x, begin, end, column, dw);
    else
      add_outputs<taps, false>(d, dy, x, begin, end, column, dw);
  }

  template <int taps, bool inside>
  static void add_outputs(const Conv2dDesc& d,
                          const float* dy,
                          const float* x,
                          std::int64_t begin,
                          std::int64_t end,
                          std::int64_t column,
                          float* dw) {
    Vec sum[taps][group] = {};
    for (std::int64_t q = begin; q < end; ++q) {
      const Vec gradient = load(dy + q * d.k);
      LAMINA_UNROLL
      for (int i = 0; i < taps; ++i) {
        const std::int64_t at = column + q * d.stride_w + i * d.dilation_w;
        if (!inside && (at < 0 || at >= d.x.w)) continue;
        for_each<group>([&](auto j) {
          sum[i][j] = multiply_add(member<group, j>(x + at * d.x.c), gradient, sum[i][j]);
        });
      }
    }
    LAMINA_UNROLL
    for (int i = 0; i < taps; ++i) {
      LAMINA_UNROLL
      for (int j = 0; j < group; ++j) {
        float* const to = dw + (i * group + j) * kLanes;
        store(to, load(to) + sum[i][j]);
      }
    }
  }
};

template <int group>
class GroupsConv2d final : public NamedConv2d {
 public:
  GroupsConv2d(Context& ctx, const Conv2dDesc& desc)
      : ctx_(ctx), desc_(desc), y_(desc.y()), taps_(desc.r * desc.s), bias_(y_) {
    // Enough chunks for many threads where their sums are small.
    constexpr std::int64_t kFewest = 8, kMost = 32, kFloats = 2'000'000;
    const std::int64_t wanted = std::clamp(kFloats / desc.weights(), kFewest, kMost);
    chunks_ = std::min(y_.n * y_.h, wanted);
  }

  std::size_t workspace_bytes() const override {
    const std::int64_t copies = desc_.backward_weights ? chunks_ : 1;
    const std::size_t bytes = static_cast<std::size_t>(copies * desc_.weights()) * sizeof(float);
    const bool bias = desc_.bias && desc_.backward_weights;
    return bias ? std::max(bytes, bias_.scratch_bytes()) : bytes;
  }
  Conv2dNames names() const override { return {{"by group"}, {"by group"}, {"by group"}}; }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::conv2d_forward(desc_, x, w, b, y);
    auto* const filters = static_cast<float*>(workspace);
    copy_filters(w.as<float>(), filters, [](std::int64_t lane, std::int64_t j) {
      return std::pair{lane, j};
    });
    const float* const bias = b ? b.as<float>() : nullptr;
    visit_act(desc_.act, [&](auto act) {
      const Rows<group, decltype(act)> rows(act, desc_.k, taps_, filters, bias);
      parallel_for(ctx_, y_.n * y_.h, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row)
          rows.run(line_of_y(x.as<float>(), y.as<float>(), row / y_.h, row % y_.h));
      });
    });
  }

  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    checks::conv2d_backward_data(desc_, dy, w, dx);
    auto* const filters = static_cast<float*>(workspace);
    // An input's lane meets the filters of its group.
    copy_filters(w.as<float>(), filters, [](std::int64_t lane, std::int64_t j) {
      return std::pair{lane / group * group + j, lane % group};
    });
    const Rows<group, Identity> rows({}, desc_.x.c, taps_, filters, nullptr);
    const Shape& s = desc_.x;
    parallel_for(ctx_, s.n * s.h, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row)
        for (std::int64_t phase = 0; phase < std::min(desc_.stride_w, s.w); ++phase)
          rows.run(line_of_dx(dy.as<float>(), dx.as<float>(), row / s.h, row % s.h, phase));
    });
  }

  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    checks::conv2d_backward_weights(desc_, x, y, dy, dw, db);
    if (desc_.act != Act::none) act_backward(ctx_, desc_.act, y, dy, dy);
    if (db) bias_.run(ctx_, dy, db, workspace);
    auto* const sums = static_cast<float*>(workspace);
    const std::int64_t rows = y_.n * y_.h;
    parallel_for(ctx_, chunks_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t chunk = begin; chunk < end; ++chunk) {
        float* const sum = sums + chunk * desc_.weights();
        std::fill_n(sum, desc_.weights(), 0.0f);
        for (std::int64_t i = rows * chunk / chunks_; i < rows * (chunk + 1) / chunks_; ++i)
          add_row(x.as<float>(), dy.as<float>(), i / y_.h, i % y_.h, sum);
      }
    });
    add_chunks(sums, dw.as<float>());
  }

 private:
  // to[block][tap][j][lane] = w[filter][tap][input], which at(lane, j) gives from the first lane
  // on.
  template <class At>
  void copy_filters(const float* w, float* to, const At& at) const {
    for (std::int64_t c = 0; c < desc_.k; c += kLanes)
      for (std::int64_t tap = 0; tap < taps_; ++tap)
        for (std::int64_t j = 0; j < group; ++j)
          for (std::int64_t lane = 0; lane < kLanes; ++lane) {
            const auto [filter, input] = at(lane, j);
            *to++ = w[((c + filter) * taps_ + tap) * group + input];
          }
  }

  Line line_of_y(const float* x, float* y, std::int64_t n, std::int64_t p) const {
    const Conv2dDesc& d = desc_;
    Line line{.step = d.stride_w,
              .columns = d.x.w,
              .to = y + (n * y_.h + p) * y_.w * d.k,
              .outputs = y_.w};
    for (std::int64_t r = 0; r < d.r; ++r) {
      const std::int64_t h = p * d.stride_h + r * d.dilation_h - d.pad_h;
      if (h < 0 || h >= d.x.h) continue;
      for (std::int64_t s = 0; s < d.s; ++s)
        line.taps[static_cast<std::size_t>(line.count++)] = {
            x + (n * d.x.h + h) * d.x.w * d.x.c, s * d.dilation_w - d.pad_w, r * d.s + s};
    }
    return line;
  }

  // The columns w = phase, phase + stride, ... of row h, which meet q = (w + pad - s * dilation) /
  // stride wherever that is whole.
  Line line_of_dx(
      const float* dy, float* dx, std::int64_t n, std::int64_t h, std::int64_t phase) const {
    const Conv2dDesc& d = desc_;
    Line line{.columns = y_.w,
              .to = dx + ((n * d.x.h + h) * d.x.w + phase) * d.x.c,
              .to_step = d.stride_w,
              .outputs = (d.x.w - phase + d.stride_w - 1) / d.stride_w};
    for (std::int64_t r = 0; r < d.r; ++r) {
      const std::int64_t down = h + d.pad_h - r * d.dilation_h, p = down / d.stride_h;
      if (down < 0 || down % d.stride_h != 0 || p >= y_.h) continue;
      for (std::int64_t s = 0; s < d.s; ++s) {
        const std::int64_t across = phase + d.pad_w - s * d.dilation_w;
        if (across % d.stride_w != 0) continue;
        line.taps[static_cast<std::size_t>(line.count++)] = {
            dy + (n * y_.h + p) * y_.w * d.k, across / d.stride_w, r * d.s + s};
      }
    }
    return line;
  }

  // What a row of dy adds to dw, as [block][tap][member][lane].
  void add_row(const float* x, const float* dy, std::int64_t n, std::int64_t p, float* dw) const {
    const Conv2dDesc& d = desc_;
    const float* const gradients = dy + (n * y_.h + p) * y_.w * d.k;
    for (std::int64_t q = 0; q < y_.w; q += kSegment) {
      const std::int64_t end = std::min(y_.w, q + kSegment);
      for (std::int64_t c = 0; c < d.k; c += kLanes) {
        for (std::int64_t r = 0; r < d.r; ++r) {
          const std::int64_t h = p * d.stride_h + r * d.dilation_h - d.pad_h;
          if (h < 0 || h >= d.x.h) continue;
          const float* const row = x + (n * d.x.h + h) * d.x.w * d.x.c + c;
          constexpr std::int64_t kTaps = Gradient<group>::kTaps;
          for (std::int64_t s = 0; s < d.s; s += kTaps)
            Gradient<group>::add(d,
                                 gradients + c,
                                 row,
                                 q,
                                 end,
                                 s * d.dilation_w - d.pad_w,
                                 std::min(kTaps, d.s - s),
                                 dw + (c * taps_ + (r * d.s + s) * kLanes) * group);
        }
      }
    }
  }

  // dw[k][tap][member] = the sum over the chunks, in their order.
  void add_chunks(const float* sums, float* dw) const {
    const std::int64_t floats = desc_.weights();
    parallel_for(ctx_, desc_.k / kLanes, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin * taps_ * group; i < end * taps_ * group; ++i) {
        Vec sum{};
        for (std::int64_t chunk = 0; chunk < chunks_; ++chunk)
          sum += load(sums + chunk * floats + i * kLanes);
        const std::int64_t block = i / (taps_ * group), rest = i % (taps_ * group);
        for (std::int64_t lane = 0; lane < kLanes; ++lane)
          dw[(block * kLanes + lane) * taps_ * group + rest] = sum[lane];
      }
    });
  }

  Context& ctx_;
  Conv2dDesc desc_;
  Shape y_;
  std::int64_t taps_;
  BiasGradient bias_;
  std::int64_t chunks_ = 1;
};

}  // namespace

bool groups_conv2d_can_run(const Conv2dDesc& d) {
  const std::int64_t group = d.x.c / d.groups;
  return d.k == d.x.c && kLanes % group == 0 && group >= 4 && d.x.c % kLanes == 0 &&
         d.r * d.s <= kMostTaps;
}

std::unique_ptr<NamedConv2d> make_groups_conv2d(Context& ctx, const Conv2dDesc& desc) {
  LAMINA_CHECK(groups_conv2d_can_run(desc),
               "narrow groups are as many filters as channels, in groups of 4, 8 or {} that fill "
               "vectors of {}.",
               kLanes,
               kLanes);
  switch (desc.x.c / desc.groups) {
    case 4:
      return std::make_unique<GroupsConv2d<4>>(ctx, desc);
    case 8:
      return std::make_unique<GroupsConv2d<8>>(ctx, desc);
    default:
      return std::make_unique<GroupsConv2d<kLanes>>(ctx, desc);
  }
}

}  // namespace lamina::cpu
