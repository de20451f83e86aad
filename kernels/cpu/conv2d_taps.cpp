// Convolution as a matrix product for each tap of the window, exact and without a product for the
// padding, which is most of a window on small maps.
//
//   y[n][p][q][k] = sum over the taps (r, s) that lie inside the image of
//                   x[n][p * stride + r * dilation - pad][...][:] * w[k][r][s][:]
// Outputs that lie evenly apart are a line: a row of a map or, on small maps, a pixel of all
// images. A tap adds one product to what it meets of a line, read and written where it lies; only
// the filters are copied. The gradient of the data is the same from dy to dx. That of the weights,
//   dw[k][r][s][c] = sum of dy[n][p][q][k] * x[n][p * stride + r * dilation - pad][...][c]
// sums over the images n and the outputs p, q whose tap lies inside: x and dy are copied so that
// the images of a pixel lie side by side, and behind them those of the pixel a stride further: all
// images of a row of outputs are one stretch in both. Threads take lines, or taps and pieces of
// filters and channels: the bits depend on no thread.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/bias_gradient.h"
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/conv2d_lines.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/panels.h"
#include "kernels/cpu/vec_lanes.h"
#include "kernels/cpu/vec_math.h"

namespace lamina::cpu {
namespace {

constexpr int kTerms = 64;                       // of a sum in registers
constexpr std::int64_t kMostLines = 16;          // whose taps are looked up at a time
constexpr std::int64_t kCopyFloats = 2'000'000;  // of x and dy at a time: part of the last cache

// The copy of some images, in panels of kWidth channels. stride: from a pixel to the one that
// follows it there.
template <std::int64_t kWidth>
struct Copy {
  Shape s;  // n: images copied
  std::int64_t stride;

  std::int64_t columns() const { return (s.w + stride - 1) / stride; }
  Panels<kWidth> panels() const { return {s.h * stride * columns() * s.n, s.c}; }
  std::int64_t floats() const { return panels().rows * s.c; }
  // The row of the first image's pixel.
  std::int64_t row(std::int64_t h, std::int64_t w) const {
    return ((h * stride + w % stride) * columns() + w / stride) * s.n;
  }

  void gather(Context& ctx, const float* from, float* to) const {
    const Panels<kWidth> p = panels();
    parallel_for(ctx, s.h * s.w, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t pixel = begin; pixel < end; ++pixel) {
        const std::int64_t first = row(pixel / s.w, pixel % s.w);
        for (std::int64_t n = 0; n < s.n; ++n) {
          const float* const channels = from + (n * s.h * s.w + pixel) * s.c;
          for (std::int64_t c = 0; c < s.c; c += kWidth)
            std::copy_n(channels + c, p.width(c), to + p.offset(first + n, c));
        }
      }
    });
  }
};

class TapsConv2d final : public NamedConv2d {
 public:
  TapsConv2d(Context& ctx, const Conv2dDesc& desc)
      : ctx_(ctx), desc_(desc), y_(desc.y()), bias_(desc.y()) {
    const std::int64_t one = x_copy(1).floats() + dy_copy(1).floats();
    images_ = std::clamp<std::int64_t>(kCopyFloats / one, 1, desc.x.n);
  }

  std::size_t workspace_bytes() const override {
    std::int64_t floats = desc_.weights();
    if (desc_.backward_weights)
      floats = std::max(floats, x_copy(images_).floats() + dy_copy(images_).floats());
    const std::size_t bytes = static_cast<std::size_t>(floats) * sizeof(float);
    const bool bias = desc_.bias && desc_.backward_weights;
    return bias ? std::max(bytes, bias_.scratch_bytes()) : bytes;
  }
  Conv2dNames names() const override { return {{"by tap"}, {"by tap"}, {"by tap"}}; }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::conv2d_forward(desc_, x, w, b, y);
    auto* const filters = static_cast<float*>(workspace);
    turn_filters(w.as<float>(), filters);
    const LineWindow window{desc_, y_};
    const Lines lines = lines_of(y_);
    const std::int64_t k = desc_.k;
    for_each_block(lines, [&](std::int64_t begin, std::int64_t end) {
      lines.for_each_output(begin, end, [&](std::int64_t pixel) {
        float* const row = y.as<float>() + pixel * k;
        if (b)
          std::copy_n(b.as<float>(), k, row);
        else
          std::fill_n(row, k, 0.0f);
      });
      add_taps(filters, desc_.x.c, k, begin, end, [&](auto line, auto r, auto s) {
        return window.meet_inputs(x.as<float>(), y.as<float>(), lines, line, r, s);
      });
      if (desc_.act == Act::none) return;
      visit_act(desc_.act, [&](auto act) {
        lines.for_each_output(begin, end, [&](std::int64_t pixel) {
          float* const row = y.as<float>() + pixel * k;
          map_range(
              0, k, [&](const Vec& v) { return act.forward(v); }, row, row);
        });
      });
    });
  }

  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    checks::conv2d_backward_data(desc_, dy, w, dx);
    auto* const filters = static_cast<float*>(workspace);
    copy_filters(w.as<float>(), filters);
    const LineWindow window{desc_, y_};
    const Lines lines = lines_of(desc_.x);
    const std::int64_t c = desc_.x.c;
    for_each_block(lines, [&](std::int64_t begin, std::int64_t end) {
      lines.for_each_output(begin, end, [&](std::int64_t pixel) {
        std::fill_n(dx.as<float>() + pixel * c, c, 0.0f);
      });
      add_taps(filters, desc_.k, c, begin, end, [&](auto line, auto r, auto s) {
        return window.meet_outputs(dy.as<float>(), dx.as<float>(), lines, line, r, s);
      });
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
    auto* const xs = static_cast<float*>(workspace);
    float* const dys = xs + x_copy(images_).floats();
    for (std::int64_t n = 0; n < desc_.x.n; n += images_) {
      const std::int64_t count = std::min(images_, desc_.x.n - n);
      x_copy(count).gather(ctx_, x.as<float>() + n * desc_.x.per_sample(), xs);
      dy_copy(count).gather(ctx_, dy.as<float>() + n * y_.per_sample(), dys);
      add_images(count, xs, dys, n > 0, dw.as<float>());
    }
  }

 private:
  // Calls body(begin, end) on lines that have enough outputs together to be worth reading all
  // filters for.
  template <class Body>
  void for_each_block(const Lines& lines, const Body& body) const {
    constexpr std::int64_t kOutputs = 64;
    const std::int64_t wanted =
        std::min(kMostLines, (kOutputs + lines.outputs - 1) / lines.outputs);
    const std::int64_t block =
        std::min(wanted, (lines.count + ctx_.threads() - 1) / ctx_.threads());
    parallel_for(ctx_, lines.count, block, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t line = begin; line < end; line += block)
        body(line, std::min(end, line + block));
    });
  }

  // Adds what all taps meet of some lines. filters: [tap] panels [in][out].
  template <class Meet>
  void add_taps(const float* filters,
                std::int64_t in,
                std::int64_t out,
                std::int64_t begin,
                std::int64_t end,
                const Meet& meet) const {
    const Panels<kPanel> panels{in, out};
    std::array<Meeting, kMostLines> met;
    for (std::int64_t tap = 0; tap < desc_.r * desc_.s; ++tap) {
      std::size_t count = 0;
      for (std::int64_t line = begin; line < end; ++line) {
        met[count] = meet(line, tap / desc_.s, tap % desc_.s);
        count += met[count].rows > 0;
      }
      for (std::int64_t k = 0; k < out; k += kPanel) {
        for (std::size_t i = 0; i < count; ++i) {
          Gemm{.m = met[i].rows,
               .j = panels.width(k),
               .l = in,
               .a = met[i].from,
               .a_m = met[i].from_step,
               .a_l = 1,
               .b = filters + tap * in * out + panels.offset(0, k),
               .b_l = panels.width(k),
               .c = met[i].to + k,
               .c_m = met[i].to_step,
               .add = true,
               .terms = kTerms}
              .run_rows(0, met[i].rows);
        }
      }
    }
  }

  // The panels of the forward pass, whose columns are filters.
  void turn_filters(const float* w, float* to) const {
    const std::int64_t taps = desc_.r * desc_.s, c = desc_.x.c;
    const std::int64_t vectors = (desc_.k + kLanes - 1) / kLanes;
    const Panels<kPanel> panels{c, desc_.k};
    parallel_for(ctx_, taps * vectors, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t tap = i / vectors, k = i % vectors * kLanes, width = panels.width(k);
        const Tile filters{std::min(kLanes, desc_.k - k), taps * c};
        const float* const from = w + (k * taps + tap) * c;
        float* const columns = to + tap * c * desc_.k + panels.offset(0, k);
        if (filters.images == kLanes) {
          gather_lanes(filters, from, c, columns, width);
          continue;
        }
        for (std::int64_t f = 0; f < filters.images; ++f)
          for (std::int64_t j = 0; j < c; ++j)
            columns[j * width + f] = from[f * filters.stride + j];
      }
    });
  }
  // Those of the data's gradient, whose columns are channels.
  void copy_filters(const float* w, float* to) const {
    const std::int64_t taps = desc_.r * desc_.s, c = desc_.x.c;
    const Panels<kPanel> panels{desc_.k, c};
    parallel_for(ctx_, desc_.k, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k)
        for (std::int64_t tap = 0; tap < taps; ++tap)
          for (std::int64_t j = 0; j < c; j += kPanel)
            std::copy_n(w + (k * taps + tap) * c + j,
                        panels.width(j),
                        to + tap * c * desc_.k + panels.offset(k, j));
    });
  }

  Copy<kPanel> x_copy(std::int64_t images) const {
    return {{images, desc_.x.h, desc_.x.w, desc_.x.c}, desc_.stride_w};
  }
  Copy<kLeftPanel> dy_copy(std::int64_t images) const { return {{images, y_.h, y_.w, y_.c}, 1}; }

  // dw, or what these images add to it.
  void add_images(
      std::int64_t images, const float* xs, const float* dys, bool add, float* dw) const {
    const std::int64_t slices = (desc_.k + kLeftPanel - 1) / kLeftPanel,
                       panels = (desc_.x.c + kPanel - 1) / kPanel, pieces = slices * panels;
    parallel_for(ctx_, desc_.r * desc_.s * pieces, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t k = i / panels % slices * kLeftPanel, c = i % panels * kPanel;
        add_piece(images, i / pieces, k, c, xs, dys, add, dw);
      }
    });
  }

  // A panel of filters and one of channels, for one tap.
  void add_piece(std::int64_t images,
                 std::int64_t tap,
                 std::int64_t k,
                 std::int64_t c,
                 const float* xs,
                 const float* dys,
                 bool add,
                 float* dw) const {
    const std::int64_t taps = desc_.r * desc_.s, r = tap / desc_.s, s = tap % desc_.s;
    const Inside p = inside(y_.h, desc_.x.h, r * desc_.dilation_h - desc_.pad_h, desc_.stride_h);
    const Inside q = inside(y_.w, desc_.x.w, s * desc_.dilation_w - desc_.pad_w, desc_.stride_w);
    const Copy<kPanel> x = x_copy(images);
    const Copy<kLeftPanel> dy = dy_copy(images);
    const std::int64_t height = dy.panels().width(k), width = x.panels().width(c);
    Gemm product{.m = height,
                 .j = width,
                 .l = (q.end - q.begin) * images,
                 .a_m = 1,
                 .a_l = height,
                 .b_l = width,
                 .c = dw + (k * taps + tap) * desc_.x.c + c,
                 .c_m = taps * desc_.x.c,
                 .add = add,
                 .terms = kTerms};
    if (product.l > 0) {
      for (std::int64_t i = p.begin; i < p.end; ++i) {
        const std::int64_t h = p.first + (i - p.begin) * desc_.stride_h;
        product.a = dys + dy.panels().offset(dy.row(i, q.begin), k);
        product.b = xs + x.panels().offset(x.row(h, q.first), c);
        product.run_rows(0, height);
        product.add = true;
      }
    }
    if (product.add) return;
    for (std::int64_t i = 0; i < height; ++i) std::fill_n(product.c + i * product.c_m, width, 0.0f);
  }

  Context& ctx_;
  Conv2dDesc desc_;
  Shape y_;
  BiasGradient bias_;
  std::int64_t images_;  // that are copied at a time
};

}  // namespace

bool taps_conv2d_can_run(const Conv2dDesc& desc) { return desc.groups == 1; }

std::unique_ptr<NamedConv2d> make_taps_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return std::make_unique<TapsConv2d>(ctx, desc);
}

}  // namespace lamina::cpu
