// Passes over the pixels of NHWC maps in which a thread keeps its channels: what belongs to a
// channel is read once, and nothing is divided. Maps may be slices of channels. Loads and stores
// are of 16 bytes where channels and addresses allow.
//   template <int width, class T>
//   LAMINA_KERNEL copy(RowSize size, Rows<const T> x, Rows<T> y) {
//     const RowWalk at = row_walk<width>(size);
//     for (std::int64_t row = at.row; row < at.end; row += at.step)
//       y.template store<width>(row, at.channel, x.template load<width>(row, at.channel));
//   }
//   launch_rows<T>(ctx, "copy", x.rows(), x.shape.c, {x, y},
//                  []<int width>(Width<width>) { return copy<width, T>; },
//                  rows_of<const T>(x), rows_of<T>(y));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>

#include "engine/core/tensor.h"
#include "kernels/cuda/pointwise.h"

namespace lamina::cuda {

// A map by its pixels; `row` elements from one to the next.
template <class T>
struct Rows {
  T* data = nullptr;
  std::int64_t row = 0;

  LAMINA_DEVICE T* at(std::int64_t pixel, int channel) const {
    return data + pixel * row + channel;
  }
  template <int width>
  LAMINA_DEVICE auto load(std::int64_t pixel, int channel) const {
    return *reinterpret_cast<const Pack<std::remove_const_t<T>, width>*>(at(pixel, channel));
  }
  template <int width>
  LAMINA_DEVICE void store(std::int64_t pixel, int channel, const Pack<T, width>& pack) const {
    *reinterpret_cast<Pack<T, width>*>(at(pixel, channel)) = pack;
  }
};

template <class T>
Rows<T> rows_of(const Tensor& t) {
  if (!t) return {};
  return {t.as<std::remove_const_t<T>>(), t.row()};
}

// `lanes` threads of a block, a power of two, lie side by side over the channels.
struct RowSize {
  std::int64_t rows;
  int channels, lanes;
};

// What a thread does: channels [channel, channel + width), rows row, row + step, ... below end.
// None where its channels lie behind the last.
struct RowWalk {
  int channel;
  std::int64_t row, step, end;
};

template <int width>
LAMINA_DEVICE RowWalk row_walk(const RowSize& size) {
  const int thread = static_cast<int>(threadIdx.x), rows = kBlock / size.lanes;
  const int channel = (static_cast<int>(blockIdx.x) * size.lanes + thread % size.lanes) * width;
  return {channel,
          static_cast<std::int64_t>(blockIdx.y) * rows + thread / size.lanes,
          static_cast<std::int64_t>(gridDim.y) * rows,
          channel < size.channels ? size.rows : 0};
}

// Channels a thread takes at a time, as a type.
template <int width>
using Width = std::integral_constant<int, width>;

// Calls body(Width): with what 16 bytes hold, or 1.
template <class T, class Body>
void visit_width(bool packs, const Body& body) {
  if (packs)
    body(Width<kPackWidth<T>>{});
  else
    body(Width<1>{});
}

// Whether channels and addresses allow accesses of 16 bytes of T. Empty maps count for nothing.
template <class T>
bool fits_packs(std::int64_t channels, std::initializer_list<Tensor> maps) {
  constexpr int kWidth = kPackWidth<T>;
  bool fits = channels % kWidth == 0;
  for (const Tensor& map : maps)
    fits = fits && (!map || (aligned_for_packs(static_cast<const std::byte*>(map.data)) &&
                             map.row() % kWidth == 0));
  return fits;
}

// As many lanes as there are columns, or as fit.
inline int lanes_for(std::int64_t columns) {
  int lanes = 1;
  while (lanes < columns && lanes < kBlock) lanes *= 2;
  return lanes;
}

// Runs kernel(Width), a pass over maps of that many pixels and channels, with a RowSize and args.
template <class T, class Kernel, class... Args>
void launch_rows(Context& ctx,
                 const char* name,
                 std::int64_t rows,
                 std::int64_t channels,
                 std::initializer_list<Tensor> maps,
                 const Kernel& kernel,
                 const Args&... args) {
  LAMINA_CHECK(rows < std::int64_t{1} << 31,
               "a map has {} pixels, and the kernels count to 2^31; use a smaller batch.",
               rows);
  constexpr std::int64_t kMostBlocks = 16 * 132;  // a few times what fills any card
  visit_width<T>(fits_packs<T>(channels, maps), [&]<int width>(Width<width> w) {
    const std::int64_t columns = channels / width;
    const int lanes = lanes_for(columns);
    const std::int64_t across = (columns + lanes - 1) / lanes;
    const std::int64_t down = (rows * lanes + kBlock - 1) / kBlock;
    const std::int64_t most = kMostBlocks / across > 1 ? kMostBlocks / across : 1;
    const Grid grid{static_cast<unsigned>(across),
                    static_cast<unsigned>(down < most ? down : most)};
    const RowSize size{rows, static_cast<int>(channels), lanes};
    launch(ctx, name, grid, kBlock, kernel(w), size, args...);
  });
}

}  // namespace lamina::cuda
