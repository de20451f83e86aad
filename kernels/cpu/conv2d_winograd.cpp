// Convolution of 3x3 windows with stride 1 by Winograd's minimal filtering, F(4x4, 3x3): a quarter
// of the multiplications, for roundings a few times as large (winograd.h).
//
// A tile is a 4x4 piece of the output and the 6x6 piece of the input that it hangs on. For each of
// the 36 products of a tile, all tiles and channels together are a matrix product:
//   v [36][tiles][C] = B^T x B    u [36][C][K] = G w G^T    m = v u [36][tiles][K]    y = A^T m A
// The gradient of the data is the same with the filters turned round and C and K exchanged; that of
// the weights sums A dy A^T times B^T x B over the tiles. Threads take tiles, or pieces of u's
// gradient, so that the bits depend on no thread.
// SPDX-License-Identifier: Apache-2.0
#include <omp.h>

#include <algorithm>
#include <array>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/bias_gradient.h"
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/vec_lanes.h"
#include "kernels/cpu/vec_math.h"
#include "kernels/cpu/winograd_tiles.h"

namespace lamina::cpu {
namespace {

using winograd::kIn;
using winograd::kOut;
using winograd::kProducts;
using winograd::kTaps;
using winograd::Piece;
using winograd::Products;
using winograd::Tiles;

using Rows = Products<>;
using RightPanels = Products<kPanel>;
using LeftPanels = Products<kLeftPanel>;

constexpr int kTerms = 64;  // of a sum in registers
// Of v and m for one thread, and of v and z for all: most of a second-level cache.
constexpr std::int64_t kBlockFloats = 400'000, kGradientFloats = 500'000;

// A correlation with 3x3 filters: where the inputs lie from the outputs, and how many channels.
struct Correlation {
  Shape in, out;
  std::int64_t pad_h, pad_w;

  // Of u or its gradient: one of the 36 matrices, which would share a cache set if they were not a
  // little apart, and all.
  std::int64_t matrix() const { return in.c * out.c + kPanel; }
  std::int64_t weights() const { return kProducts * matrix(); }
  // Tiles that a thread takes at a time.
  std::int64_t block(std::int64_t threads) const {
    constexpr std::int64_t kFewest = 24, kMost = 384;
    const std::int64_t cached = kBlockFloats / (kProducts * (in.c + out.c));
    // Larger blocks where u does not fit the cache beside them: it is read once for each.
    const std::int64_t reading = in.c * out.c > 16384 ? in.c / 2 : 0;
    const std::int64_t wanted = std::clamp(std::max(cached, reading), kFewest, kMost);
    const std::int64_t count = Tiles(out).count,
                       parts = round_up((count + wanted - 1) / wanted, threads);
    return std::max<std::int64_t>(6, round_up((count + parts - 1) / parts, 6));
  }
};

// u: panels of output channels, each [C][width].
float* panel_of(float* u, std::int64_t in, std::int64_t k) { return u + k / kPanel * kPanel * in; }

class WinogradConv2d final : public NamedConv2d {
 public:
  WinogradConv2d(Context& ctx, const Conv2dDesc& desc)
      : ctx_(ctx),
        desc_(desc),
        forward_{desc.x, desc.y(), desc.pad_h, desc.pad_w},
        data_{desc.y(), desc.x, kTaps - 1 - desc.pad_h, kTaps - 1 - desc.pad_w},
        bias_(desc.y()) {
    std::int64_t floats = correlation_floats(forward_);
    if (desc.backward_data) floats = std::max(floats, correlation_floats(data_));
    if (desc.backward_weights) floats = std::max(floats, gradient_floats());
    workspace_bytes_ = static_cast<std::size_t>(floats) * sizeof(float);
    if (desc.bias && desc.backward_weights)
      workspace_bytes_ = std::max(workspace_bytes_, bias_.scratch_bytes());
  }

  std::size_t workspace_bytes() const override { return workspace_bytes_; }
  Conv2dNames names() const override {
    return {{"Winograd 4x4"}, {"Winograd 4x4"}, {"Winograd 4x4"}};
  }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::conv2d_forward(desc_, x, w, b, y);
    auto* const u = static_cast<float*>(workspace);
    turn_weights(w.as<float>(), u);
    const float* const bias = b ? b.as<float>() : nullptr;
    visit_act(desc_.act,
              [&](auto act) { correlate(forward_, x.as<float>(), u, bias, act, y.as<float>()); });
  }

  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    checks::conv2d_backward_data(desc_, dy, w, dx);
    auto* const u = static_cast<float*>(workspace);
    turn_weights_back(w.as<float>(), u);
    correlate(data_, dy.as<float>(), u, nullptr, Identity{}, dx.as<float>());
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
    weight_gradient(x.as<float>(), dy.as<float>(), dw.as<float>(), static_cast<float*>(workspace));
  }

 private:
  // u, zeros for the padding, and v and m for each thread.
  std::int64_t correlation_floats(const Correlation& c) const {
    return c.weights() + c.in.c + ctx_.threads() * block_floats(c);
  }
  std::int64_t block_floats(const Correlation& c) const {
    const std::int64_t tiles = c.block(ctx_.threads());
    return Rows::floats(tiles, c.in.c) + Rows::floats(tiles, c.out.c);
  }
  // The gradient of u, zeros, v and z.
  std::int64_t gradient_floats() const {
    const std::int64_t tiles = gradient_tiles();
    return forward_.weights() + std::max(desc_.x.c, desc_.k) +
           RightPanels::floats(tiles, desc_.x.c) + LeftPanels::floats(tiles, desc_.k);
  }
  // Tiles whose v and z are there at a time: the shape alone decides, as the sums hang on it.
  std::int64_t gradient_tiles() const {
    const std::int64_t in = desc_.x.c, out = desc_.k;
    const std::int64_t cached = kGradientFloats / (kProducts * (in + out));
    // Fewer would read and write du more than they read v and z.
    const std::int64_t balanced = 2 * in * out / (in + out);
    return std::min(Tiles(forward_.out).count, std::max(cached, balanced));
  }

  // u = G w G^T, output channels side by side. w has its input channels side by side.
  void turn_weights(const float* w, float* u) const {
    const std::int64_t in = desc_.x.c, out = desc_.k, one = forward_.matrix();
    parallel_for(ctx_, out / kLanes, 1, [&](std::int64_t begin, std::int64_t end) {
      Vec z[kLanes][kIn][kIn];
      for (std::int64_t k = begin * kLanes; k < end * kLanes; k += kLanes) {
        const std::int64_t width = std::min(kPanel, out - k / kPanel * kPanel);
        for (std::int64_t c = 0; c < in; c += kLanes) {
          for (int i = 0; i < kLanes; ++i) {
            Vec g[kTaps][kTaps];
            for (int tap = 0; tap < kTaps * kTaps; ++tap)
              g[tap / kTaps][tap % kTaps] = load(w + ((k + i) * kTaps * kTaps + tap) * in + c);
            winograd::both_axes(winograd::weights, g, z[i]);
          }
          for (int product = 0; product < kProducts; ++product) {
            Vec m[kLanes];
            for (int i = 0; i < kLanes; ++i) m[i] = z[i][product / kIn][product % kIn];
            transpose(m);
            float* const to = panel_of(u + product * one, in, k) + c * width + k % kPanel;
            for (int i = 0; i < kLanes; ++i) store(to + i * width, m[i]);
          }
        }
      }
    });
  }

  // The same for the filters turned round, from output channels to input channels.
  void turn_weights_back(const float* w, float* u) const {
    const std::int64_t in = desc_.k, out = desc_.x.c, one = data_.matrix();
    parallel_for(ctx_, in, 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k) {
        for (std::int64_t c = 0; c < out; c += kLanes) {
          Vec g[kTaps][kTaps], z[kIn][kIn];
          for (int tap = 0; tap < kTaps * kTaps; ++tap)
            g[(8 - tap) / kTaps][(8 - tap) % kTaps] = load(w + (k * kTaps * kTaps + tap) * out + c);
          winograd::both_axes(winograd::weights, g, z);
          const std::int64_t width = std::min(kPanel, out - c / kPanel * kPanel);
          float* to = panel_of(u, in, c) + k * width + c % kPanel;
          for (int i = 0; i < kIn; ++i)
            for (int j = 0; j < kIn; ++j, to += one) store(to, z[i][j]);
        }
      }
    });
  }

  template <class Act>
  void correlate(const Correlation& c,
                 const float* x,
                 float* u,
                 const float* bias,
                 const Act& act,
                 float* y) const {
    float* const zeros = u + c.weights();
    float* const blocks = zeros + c.in.c;
    std::fill_n(zeros, c.in.c, 0.0f);
    const Tiles tiles(c.out);
    const std::int64_t block = c.block(ctx_.threads());
    parallel_for(ctx_, tiles.count, block, [&](std::int64_t begin, std::int64_t end) {
      float* const mine = blocks + omp_get_thread_num() * block_floats(c);
      const Rows v(mine, block, c.in.c);
      const Rows m(mine + Rows::floats(block, c.in.c), block, c.out.c);
      for (std::int64_t first = begin; first < end; first += block) {
        const std::int64_t count = std::min(block, end - first);
        turn_input(c, x, first, count, zeros, v, 0);
        multiply(c, v, u, count, m);
        for (std::int64_t t = 0; t < count; ++t)
          turn_output(c.out, tiles.at(first + t), m, t, bias, act, y);
      }
    });
  }

  // v = B^T x B of `count` tiles, from `row` on.
  template <class V>
  void turn_input(const Correlation& c,
                  const float* x,
                  std::int64_t first,
                  std::int64_t count,
                  const float* zeros,
                  const V& v,
                  std::int64_t row) const {
    const Tiles tiles(c.out);
    for (std::int64_t t = 0; t < count; ++t) {
      const auto [n, h, w] = tiles.at(first + t);
      const Piece<kIn> piece(x, c.in, n, h - c.pad_h, w - c.pad_w, zeros);
      for (std::int64_t channel = 0; channel < c.in.c; channel += kLanes) {
        Vec d[kIn][kIn], z[kIn][kIn];
        piece.load_channels(channel, d);
        winograd::both_axes(winograd::input, d, z);
        v.store_tile(row + t, channel, z);
      }
    }
  }

  void multiply(
      const Correlation& c, const Rows& v, float* u, std::int64_t rows, const Rows& m) const {
    const std::int64_t in = c.in.c, out = c.out.c;
    for (int product = 0; product < kProducts; ++product) {
      for (std::int64_t k = 0; k < out; k += kPanel) {
        const std::int64_t width = std::min(kPanel, out - k);
        Gemm{.m = rows,
             .j = width,
             .l = in,
             .a = v.of(product),
             .a_m = in,
             .a_l = 1,
             .b = panel_of(u + product * c.matrix(), in, k),
             .b_l = width,
             .c = m.of(product) + k,
             .c_m = out,
             .terms = kTerms}
            .run_rows(0, rows);
      }
    }
  }

  // y = act(A^T m A + bias) of a tile, as far as it lies inside.
  template <class Act>
  void turn_output(const Shape& s,
                   const std::array<std::int64_t, 3>& at,
                   const Rows& m,
                   std::int64_t t,
                   const float* bias,
                   const Act& act,
                   float* y) const {
    const auto [n, h, w] = at;
    const std::int64_t rows = std::min<std::int64_t>(kOut, s.h - h),
                       columns = std::min<std::int64_t>(kOut, s.w - w);
    float* const to = y + ((n * s.h + h) * s.w + w) * s.c;
    for (std::int64_t k = 0; k < s.c; k += kLanes) {
      Vec z[kIn][kIn], out[kOut][kOut];
      m.load_tile(t, k, z);
      winograd::both_axes(winograd::output, z, out);
      const Vec shift = bias != nullptr ? load(bias + k) : Vec{};
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j)
          store(to + (i * s.w + j) * s.c + k, act.forward(out[i][j] + shift));
    }
  }

  void weight_gradient(const float* x, const float* dy, float* dw, float* workspace) const {
    const std::int64_t in = desc_.x.c, out = desc_.k, room = gradient_tiles();
    float* const du = workspace;
    float* const zeros = du + forward_.weights();
    float* const memory = zeros + std::max(in, out);
    std::fill_n(zeros, std::max(in, out), 0.0f);
    const RightPanels v(memory, room, in);
    const LeftPanels z(memory + RightPanels::floats(room, in), room, out);
    const Tiles tiles(forward_.out);
    for (std::int64_t first = 0; first < tiles.count; first += room) {
      const std::int64_t count = std::min(room, tiles.count - first);
      parallel_for(ctx_, count, 4, [&](std::int64_t begin, std::int64_t end) {
        turn_input(forward_, x, first + begin, end - begin, zeros, v, begin);
        for (std::int64_t t = begin; t < end; ++t)
          turn_output_gradient(tiles.at(first + t), dy, zeros, z, t);
      });
      add_products(v, z, count, first > 0, du);
    }
    turn_weights_gradient(du, dw);
  }

  // z = A dy A^T of a tile.
  void turn_output_gradient(const std::array<std::int64_t, 3>& at,
                            const float* dy,
                            const float* zeros,
                            const LeftPanels& z,
                            std::int64_t t) const {
    const auto [n, h, w] = at;
    const Piece<kOut> piece(dy, forward_.out, n, h, w, zeros);
    for (std::int64_t k = 0; k < desc_.k; k += kLanes) {
      Vec d[kOut][kOut], turned[kIn][kIn];
      piece.load_channels(k, d);
      winograd::both_axes(winograd::output_gradient, d, turned);
      z.store_tile(t, k, turned);
    }
  }

  // du[k][c] = sum over tiles of z[t][k] v[t][c], for each of the 36; add: to what is there.
  void add_products(
      const RightPanels& v, const LeftPanels& z, std::int64_t rows, bool add, float* du) const {
    const std::int64_t in = desc_.x.c, out = desc_.k;
    const std::int64_t slices = (out + kLeftPanel - 1) / kLeftPanel,
                       panels = (in + kPanel - 1) / kPanel;
    parallel_for(ctx_, kProducts * slices * panels, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto product = static_cast<int>(i / (slices * panels));
        const std::int64_t k = i / panels % slices * kLeftPanel, c = i % panels * kPanel;
        const std::int64_t height = std::min(kLeftPanel, out - k), width = std::min(kPanel, in - c);
        Gemm{.m = height,
             .j = width,
             .l = rows,
             .a = z.of(product) + z.offset(0, k),
             .a_m = 1,
             .a_l = height,
             .b = v.of(product) + v.offset(0, c),
             .b_l = width,
             .c = du + product * forward_.matrix() + k * in + c,
             .c_m = in,
             .add = add,
             .terms = kTerms}
            .run_rows(0, height);
      }
    });
  }

  // dw = G^T du G.
  void turn_weights_gradient(const float* du, float* dw) const {
    const std::int64_t in = desc_.x.c, out = desc_.k;
    parallel_for(ctx_, out, 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k) {
        for (std::int64_t c = 0; c < in; c += kLanes) {
          Vec z[kIn][kIn], g[kTaps][kTaps];
          for (int product = 0; product < kProducts; ++product)
            z[product / kIn][product % kIn] = load(du + product * forward_.matrix() + k * in + c);
          winograd::both_axes(winograd::weights_gradient, z, g);
          for (int tap = 0; tap < kTaps * kTaps; ++tap)
            store(dw + (k * kTaps * kTaps + tap) * in + c, g[tap / kTaps][tap % kTaps]);
        }
      }
    });
  }

  Context& ctx_;
  Conv2dDesc desc_;
  Correlation forward_, data_;
  BiasGradient bias_;
  std::size_t workspace_bytes_ = 0;
};

}  // namespace

bool winograd_conv2d_can_run(const Conv2dDesc& d) {
  return d.r == kTaps && d.s == kTaps && d.stride_h == 1 && d.stride_w == 1 && d.dilation_h == 1 &&
         d.dilation_w == 1 && d.groups == 1 && d.pad_h < kTaps && d.pad_w < kTaps &&
         d.x.c % kLanes == 0 && d.k % kLanes == 0;
}

std::unique_ptr<NamedConv2d> make_winograd_conv2d(Context& ctx, const Conv2dDesc& desc) {
  LAMINA_CHECK(
      winograd_conv2d_can_run(desc),
      "Winograd's filtering is for 3x3 windows with stride 1 and multiples of {} channels.",
      kLanes);
  return std::make_unique<WinogradConv2d>(ctx, desc);
}

}  // namespace lamina::cpu
