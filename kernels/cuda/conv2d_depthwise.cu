// Depthwise convolution: a filter a channel. Every element of x and y is worth a few multiply-adds
// only, so memory sets the time and no matrix product is made of it. Contract: kernels/conv2d.h.
//
// A thread has a pack of neighbouring channels (16 bytes) at one pixel after another; `lanes` packs
// lie side by side in a block, whose filters wait in shared memory. The passes that sum over the
// window gather, so each element is written once. The weights' gradient is summed in chunks of
// pixels, and the last block adds the chunks up in their order: the bits repeat.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/checks.h"
#include "kernels/cuda/act_math.h"
#include "kernels/cuda/bias.h"
#include "kernels/cuda/channel_sums.h"
#include "kernels/cuda/conv2d_impl.h"
#include "kernels/cuda/pointwise.h"
#include "kernels/cuda/visit.h"

namespace lamina::cuda {
namespace {

constexpr int kFilterFloats = 8192, kMostLanes = 32;

struct Window {
  int r, s, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
};

// x [n,h,w,channels], y [n,p,q,channels]; channels in packs.
struct Maps {
  int n, h, w, p, q, packs, lanes;
  Window window;

  LAMINA_DEVICE int lane() const { return static_cast<int>(threadIdx.x) % lanes; }
  LAMINA_DEVICE int pack() const { return static_cast<int>(blockIdx.x) * lanes + lane(); }
  LAMINA_DEVICE std::int64_t x_at(int image, int row, int column) const {
    return ((static_cast<std::int64_t>(image) * h + row) * w + column) * packs + pack();
  }
  LAMINA_DEVICE std::int64_t y_at(int image, int row, int column) const {
    return ((static_cast<std::int64_t>(image) * p + row) * q + column) * packs + pack();
  }
};

// Negative ones too.
LAMINA_DEVICE bool inside(int i, int size) {
  return static_cast<unsigned>(i) < static_cast<unsigned>(size);
}

// Where a window's element lies that touches element `i` of x, along one dimension: -1 for nowhere.
LAMINA_DEVICE int output_of(int i, int tap, int pad, int dilation, int stride, int outputs) {
  const int moved = i + pad - tap * dilation;
  if (moved < 0 || moved % stride != 0 || moved / stride >= outputs) return -1;
  return moved / stride;
}

// The block's filters as [tap][channel of the pack][lane].
template <int width, class T>
LAMINA_DEVICE void load_filters(const Maps& maps, const T* w, float* filters) {
  const int taps = maps.window.r * maps.window.s, channels = maps.packs * width;
  const int held = maps.lanes * width, first = static_cast<int>(blockIdx.x) * held;
  for (int i = static_cast<int>(threadIdx.x); i < taps * held; i += kBlock) {
    const int channel = i / taps, tap = i % taps;  // neighbours in w
    const int at = (tap * width + channel % width) * maps.lanes + channel / width;
    filters[at] = first + channel < channels
                      ? as_f32(w[static_cast<std::int64_t>(first + channel) * taps + tap])
                      : 0.0f;
  }
  barrier();
}

template <int width, class T>
LAMINA_DEVICE void multiply_add(const Pack<T, width>& value,
                                const float* filters,
                                int lanes,
                                float (&sum)[width]) {
  for (int j = 0; j < width; ++j) sum[j] += as_f32(value.v[j]) * filters[j * lanes];
}

// size: of a square window, known to the compiler; 0 for any window.
template <int width, int size, class T>
LAMINA_KERNEL forward_pass(Maps maps, const T* x, const T* w, const T* b, T* y, Act act) {
  using P = Pack<T, width>;
  LAMINA_SHARED(float, filters, [kFilterFloats]);
  load_filters<width>(maps, w, filters);
  if (maps.pack() >= maps.packs) return;
  const Window& window = maps.window;
  const int rows = size > 0 ? size : window.r, columns = size > 0 ? size : window.s;
  float bias[width] = {};
  if (b != nullptr) {
    for (int j = 0; j < width; ++j) bias[j] = as_f32(b[maps.pack() * width + j]);
  }
  const int step = kBlock / maps.lanes, pixels = maps.n * maps.p * maps.q;
  for (int pixel = static_cast<int>(blockIdx.y) * step + static_cast<int>(threadIdx.x) / maps.lanes;
       pixel < pixels;
       pixel += static_cast<int>(gridDim.y) * step) {
    const int q = pixel % maps.q, p = pixel / maps.q % maps.p, n = pixel / maps.q / maps.p;
    float sum[width];
    for (int j = 0; j < width; ++j) sum[j] = bias[j];
    for (int r = 0; r < rows; ++r) {
      const int h = p * window.stride_h + r * window.dilation_h - window.pad_h;
      if (!inside(h, maps.h)) continue;
      for (int s = 0; s < columns; ++s) {
        const int at = q * window.stride_w + s * window.dilation_w - window.pad_w;
        if (!inside(at, maps.w)) continue;
        multiply_add(reinterpret_cast<const P*>(x)[maps.x_at(n, h, at)],
                     filters + (r * columns + s) * width * maps.lanes + maps.lane(),
                     maps.lanes,
                     sum);
      }
    }
    P out;
    for (int j = 0; j < width; ++j) out.v[j] = from_f32<T>(activate(act, sum[j]));
    reinterpret_cast<P*>(y)[maps.y_at(n, p, q)] = out;
  }
}

template <int width, int size, class T>
LAMINA_KERNEL data_pass(Maps maps, const T* dy, const T* w, T* dx) {
  using P = Pack<T, width>;
  LAMINA_SHARED(float, filters, [kFilterFloats]);
  load_filters<width>(maps, w, filters);
  if (maps.pack() >= maps.packs) return;
  const Window& window = maps.window;
  const int rows = size > 0 ? size : window.r, columns = size > 0 ? size : window.s;
  const int step = kBlock / maps.lanes, pixels = maps.n * maps.h * maps.w;
  for (int pixel = static_cast<int>(blockIdx.y) * step + static_cast<int>(threadIdx.x) / maps.lanes;
       pixel < pixels;
       pixel += static_cast<int>(gridDim.y) * step) {
    const int column = pixel % maps.w, h = pixel / maps.w % maps.h, n = pixel / maps.w / maps.h;
    float sum[width] = {};
    for (int r = 0; r < rows; ++r) {
      const int p = output_of(h, r, window.pad_h, window.dilation_h, window.stride_h, maps.p);
      if (p < 0) continue;
      const P* const row = reinterpret_cast<const P*>(dy) + maps.y_at(n, p, 0);
      for (int s = 0; s < columns; ++s) {
        const int q =
            output_of(column, s, window.pad_w, window.dilation_w, window.stride_w, maps.q);
        if (q < 0) continue;
        multiply_add(row[static_cast<std::int64_t>(q) * maps.packs],
                     filters + (r * columns + s) * width * maps.lanes + maps.lane(),
                     maps.lanes,
                     sum);
      }
    }
    P out;
    for (int j = 0; j < width; ++j) out.v[j] = from_f32<T>(sum[j]);
    reinterpret_cast<P*>(dx)[maps.x_at(n, h, column)] = out;
  }
}

// A block has `tile` neighbours in a row of the window (blockIdx.z), few enough for their sums to
// stay in registers, and a chunk of pixels (blockIdx.y). partial: [chunk][tap][channel].
template <int width, int tile, class T>
LAMINA_KERNEL weights_pass(Maps maps,
                           const T* x,
                           const T* dy,
                           T* dw,
                           int chunk_pixels,
                           double* partial,
                           std::uint32_t* tickets) {
  using P = Pack<T, width>;
  LAMINA_SHARED(double, sums, [width][kBlock]);
  const Window& window = maps.window;
  const int taps = window.r * window.s, tiles = (window.s + tile - 1) / tile;
  const int r = static_cast<int>(blockIdx.z) / tiles;
  const int first = static_cast<int>(blockIdx.z) % tiles * tile;
  const int row = static_cast<int>(threadIdx.x) / maps.lanes, step = kBlock / maps.lanes;
  const int begin = static_cast<int>(blockIdx.y) * chunk_pixels;
  const int pixels = maps.n * maps.p * maps.q;
  const int end = chunk_pixels < pixels - begin ? begin + chunk_pixels : pixels;
  const bool active = maps.pack() < maps.packs, sums_up = active && row == 0;
  float sum[tile][width] = {};
  for (int pixel = begin + row; active && pixel < end; pixel += step) {
    const int q = pixel % maps.q, p = pixel / maps.q % maps.p, n = pixel / maps.q / maps.p;
    const int h = p * window.stride_h + r * window.dilation_h - window.pad_h;
    if (!inside(h, maps.h)) continue;
    const P gradient = reinterpret_cast<const P*>(dy)[maps.y_at(n, p, q)];
    for (int s = 0; s < tile; ++s) {
      const int at = q * window.stride_w + (first + s) * window.dilation_w - window.pad_w;
      if (!inside(at, maps.w)) continue;
      const P value = reinterpret_cast<const P*>(x)[maps.x_at(n, h, at)];
      for (int j = 0; j < width; ++j) sum[s][j] += as_f32(value.v[j]) * as_f32(gradient.v[j]);
    }
  }
  const auto partial_at = [&](int chunk, int tap) {
    return ((static_cast<std::int64_t>(chunk) * taps + tap) * maps.packs + maps.pack()) * width;
  };
  double total[width];
  for (int s = 0; s < tile; ++s) {
    if (first + s >= window.s) continue;  // beyond the window
    for (int j = 0; j < width; ++j) total[j] = static_cast<double>(sum[s][j]);
    add_rows(sums, total, maps.lanes);
    if (!sums_up) continue;
    double* const to = partial + partial_at(static_cast<int>(blockIdx.y), r * window.s + first + s);
    for (int j = 0; j < width; ++j) to[j] = sums[j][maps.lane()];
  }
  if (!last_block(tickets + blockIdx.z * gridDim.x + blockIdx.x, gridDim.y)) return;
  for (int s = 0; s < tile && first + s < window.s; ++s) {
    const int tap = r * window.s + first + s;
    for (int j = 0; j < width; ++j) total[j] = 0.0;
    for (int chunk = row; active && chunk < static_cast<int>(gridDim.y); chunk += step) {
      const double* const from = partial + partial_at(chunk, tap);
      for (int j = 0; j < width; ++j) total[j] += from[j];
    }
    add_rows(sums, total, maps.lanes);
    if (!sums_up) continue;
    for (int j = 0; j < width; ++j)
      dw[static_cast<std::int64_t>(maps.pack() * width + j) * taps + tap] =
          from_f32<T>(static_cast<float>(sums[j][maps.lane()]));
  }
}

// Packs of `width` channels, as many side by side as there are and their filters find room for.
Maps maps_of(const Conv2dDesc& d, int width) {
  const Shape y = d.y();
  const auto to_int = [](std::int64_t value) { return static_cast<int>(value); };
  Maps maps{.n = to_int(d.x.n),
            .h = to_int(d.x.h),
            .w = to_int(d.x.w),
            .p = to_int(y.h),
            .q = to_int(y.w),
            .packs = to_int(d.x.c) / width,
            .lanes = 1,
            .window = {to_int(d.r),
                       to_int(d.s),
                       to_int(d.stride_h),
                       to_int(d.stride_w),
                       to_int(d.pad_h),
                       to_int(d.pad_w),
                       to_int(d.dilation_h),
                       to_int(d.dilation_w)}};
  const int taps = maps.window.r * maps.window.s;
  while (maps.lanes < maps.packs && maps.lanes < kMostLanes &&
         2 * maps.lanes * width * taps <= kFilterFloats)
    maps.lanes *= 2;
  return maps;
}

unsigned groups_of(const Maps& maps) {
  return static_cast<unsigned>((maps.packs + maps.lanes - 1) / maps.lanes);
}

// No more blocks than fill any card a few times over: each loads its filters once.
Grid pixel_grid(const Maps& maps, int pixels) {
  const int step = kBlock / maps.lanes;
  const unsigned wanted = static_cast<unsigned>((pixels + step - 1) / step);
  const unsigned most = std::max(1U, 16 * 132 / groups_of(maps));
  return {groups_of(maps), std::min(wanted, most)};
}

// Of a window, for the weights' gradient.
template <int tile>
unsigned tiles_of(const Window& window) {
  return static_cast<unsigned>(window.r * ((window.s + tile - 1) / tile));
}

class DepthwiseConv2d final : public Conv2d {
 public:
  DepthwiseConv2d(Context& ctx, const Conv2dDesc& desc) : ctx_(ctx), desc_(desc) {}

  std::size_t workspace_bytes() const override { return 0; }
  std::string describe() const override { return fmt::format("depthwise {}x{}", desc_.r, desc_.s); }

  void forward(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y, void*) override {
    checks::conv2d_forward(desc_, x, w, b, y);
    visit_packs(x, y, [&]<int width, class T>(std::integral_constant<int, width>, T) {
      const Maps maps = maps_of(desc_, width);
      launch(ctx_,
             "depthwise forward",
             pixel_grid(maps, maps.n * maps.p * maps.q),
             kBlock,
             is_3x3() ? forward_pass<width, 3, T> : forward_pass<width, 0, T>,
             maps,
             x.as<T>(),
             w.as<T>(),
             b ? b.as<T>() : nullptr,
             y.as<T>(),
             desc_.act);
    });
  }

  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void*) override {
    checks::conv2d_backward_weights(desc_, x, y, dy, dw, db);
    bias_act_backward(ctx_, desc_.act, y, dy, db);
    visit_packs(x, dy, [&]<int width, class T>(std::integral_constant<int, width>, T) {
      if (desc_.s <= 3)
        launch_weights<width, 3, T>(x, dy, dw);
      else
        launch_weights<width, 4, T>(x, dy, dw);
    });
  }

  void backward_data(const Tensor& dy, const Tensor& w, const Tensor& dx, void*) override {
    checks::conv2d_backward_data(desc_, dy, w, dx);
    visit_packs(dy, dx, [&]<int width, class T>(std::integral_constant<int, width>, T) {
      const Maps maps = maps_of(desc_, width);
      launch(ctx_,
             "depthwise backward_data",
             pixel_grid(maps, maps.n * maps.h * maps.w),
             kBlock,
             is_3x3() ? data_pass<width, 3, T> : data_pass<width, 0, T>,
             maps,
             dy.as<T>(),
             w.as<T>(),
             dx.as<T>());
    });
  }

 private:
  bool is_3x3() const { return desc_.r == 3 && desc_.s == 3; }

  // Calls body with the width of packs that the channels and both tensors allow.
  template <class Body>
  void visit_packs(const Tensor& a, const Tensor& b, const Body& body) const {
    visit_compute(desc_.dtype, "conv2d", [&]<class T>(T zero) {
      constexpr int kWidth = kPackWidth<T>;
      if (desc_.x.c % kWidth == 0 && aligned_for_packs(a.as<T>(), b.as<T>()))
        body(std::integral_constant<int, kWidth>{}, zero);
      else
        body(std::integral_constant<int, 1>{}, zero);
    });
  }

  template <int width, int tile, class T>
  void launch_weights(const Tensor& x, const Tensor& dy, const Tensor& dw) const {
    const Maps maps = maps_of(desc_, width);
    const std::int64_t taps = desc_.r * desc_.s;
    const ChunkSize size = chunk_size(desc_.x.n * desc_.y().h * desc_.y().w,
                                      maps.packs,
                                      maps.lanes,
                                      static_cast<std::size_t>(taps) * width * sizeof(double));
    const Grid grid{
        groups_of(maps), static_cast<unsigned>(size.count), tiles_of<tile>(maps.window)};
    launch(ctx_,
           "depthwise backward_weights",
           grid,
           kBlock,
           weights_pass<width, tile, T>,
           maps,
           x.as<T>(),
           dy.as<T>(),
           dw.as<T>(),
           static_cast<int>(size.rows),
           static_cast<double*>(scratch_of(ctx_)),
           tickets_of(ctx_));
  }

  Context& ctx_;
  Conv2dDesc desc_;
};

}  // namespace

bool depthwise_can_run(const Conv2dDesc& d) {
  if (d.groups == 1 || d.groups != d.x.c || d.k != d.x.c) return false;
  // Pixels are counted in 32 bits; a column of partial sums has to fit the scratch memory.
  constexpr std::int64_t kMostPixels = std::int64_t{1} << 30;
  const std::int64_t taps = d.r * d.s, pixels = std::max(d.x.numel(), d.y().numel()) / d.x.c;
  if (pixels > kMostPixels || 8 * taps > kFilterFloats) return false;
  if (taps * d.x.c * static_cast<std::int64_t>(sizeof(double)) >
      static_cast<std::int64_t>(kScratchBytes))
    return false;
  // Packs of one channel have the most groups, tiles of three are the most.
  const Maps maps = maps_of(d, 1);
  return groups_of(maps) * tiles_of<3>(maps.window) <= kTickets;
}

std::unique_ptr<Conv2d> make_depthwise_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return std::make_unique<DepthwiseConv2d>(ctx, desc);
}

}  // namespace lamina::cuda
