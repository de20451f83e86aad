// Channels of NHWC tensors, any number of them, a vector at a time.
//
// Sixteen lanes, say, do not line up with six channels, but lcm(6, 16) = 48 floats do: the tensor
// is walked in blocks of that many floats, and per-channel numbers are laid out once over a block.
// Sums are kept in f64, one partial sum for each fixed chunk of the tensor, added up in the order
// of the chunks: the result does not depend on the number of threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <numeric>
#include <type_traits>

#include "engine/core/parallel.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {

inline constexpr std::int64_t kHalf = kLanes / 2;
using Wide = double __attribute__((vector_size(8 * kHalf)));
using HalfVec = float __attribute__((vector_size(4 * kHalf)));

// The lower or the upper half in f64: taken out first, which is what compilers turn into one
// conversion.
template <int... i>
LAMINA_INLINE Wide widen(const Vec& v, int half, std::integer_sequence<int, i...>) {
  const HalfVec h = half == 0 ? __builtin_shufflevector(v, v, i...)
                              : __builtin_shufflevector(v, v, (i + kHalf)...);
  return Wide{h[i]...};
}
LAMINA_INLINE Wide widen(const Vec& v, int half) {
  return widen(v, half, std::make_integer_sequence<int, kHalf>{});
}
LAMINA_INLINE Wide load_wide(const double* p) {
  Wide v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

LAMINA_INLINE void store_wide(double* p, const Wide& v) { std::memcpy(p, &v, sizeof v); }

// A chunk: blocks [begin, end), and `rest` floats behind them.
struct Part {
  std::int64_t chunk, block, begin, end, rest;
};

// How a tensor is cut: blocks in which the channels repeat, chunks of whole blocks, and the rows
// that do not fill a block.
struct Layout {
  std::int64_t channels, floats, block, blocks, blocks_per_chunk, chunks;

  explicit Layout(const Shape& x)
      : channels(x.c), floats(x.numel()), block(std::lcm(x.c, kLanes)), blocks(floats / block) {
    constexpr std::int64_t kChunkFloats = 16384, kMaxChunks = 64;
    blocks_per_chunk =
        std::max({std::int64_t{1}, kChunkFloats / block, (blocks + kMaxChunks - 1) / kMaxChunks});
    chunks = std::max<std::int64_t>(1, (blocks + blocks_per_chunk - 1) / blocks_per_chunk);
  }
  double rows() const { return static_cast<double>(floats / channels); }

  // Calls body(part) for each chunk; the last one has the odd rows. Each thread walks its chunks
  // forwards, or backwards.
  template <class Body>
  void for_each_chunk(const Context& ctx, const Body& body) const {
    parallel_for(ctx, chunks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) call(i, body);
    });
  }
  template <class Body>
  void for_each_chunk_backwards(const Context& ctx, const Body& body) const {
    parallel_for(ctx, chunks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = end; i-- > begin;) call(i, body);
    });
  }
  template <class Body>
  void call(std::int64_t i, const Body& body) const {
    const std::int64_t first = i * blocks_per_chunk;
    if (i + 1 == chunks)
      body(Part{i, block, first, blocks, floats - blocks * block});
    else
      body(Part{i, block, first, first + blocks_per_chunk, 0});
  }
};

// A tensor in blocks. A slice of channels has a block a pixel: its channels are whole vectors.
template <class T>
struct Blocks {
  T* data = nullptr;
  std::int64_t pitch = 0;  // elements from a block to the next

  Blocks() = default;
  Blocks(const Layout& layout, const Tensor& t)
      : data(elements_of<std::remove_const_t<T>>(t)),
        pitch(t.is_slice() ? t.pitch : layout.block) {}
  template <class U>
  Blocks(const Blocks<U>& other) : data(other.data), pitch(other.pitch) {}

  LAMINA_INLINE T* at(std::int64_t i, std::int64_t lane) const { return data + i * pitch + lane; }
};
template <class T>
using BlocksIn = Blocks<const T>;
template <class T>
using BlocksOut = Blocks<T>;

// Numbers of a channel laid out over a block, so that lane i of the block has channel i % channels.
template <class F>
float* spread(const Layout& layout, float* pattern, const F& of_channel) {
  for (std::int64_t c = 0; c < layout.channels; ++c) pattern[c] = of_channel(c);
  for (std::int64_t i = layout.channels; i < layout.block; ++i)
    pattern[i] = pattern[i - layout.channels];
  return pattern;
}

// For each channel the sums of two quantities over all rows: terms(block, lane, count) returns both
// for a vector (count of it valid) of a block from `lane` on. sums: [2 * channels].
struct Terms {
  Vec first, second;
};

// So many rows are summed in f32 before they join the sums in f64: their roundings are few, and
// converting every term would cost more than its product.
inline constexpr std::int64_t kRun = 8;

LAMINA_INLINE void add_wide(double* sums, const Vec& v) {
  LAMINA_UNROLL
  for (int h = 0; h < 2; ++h)
    store_wide(sums + h * kHalf, load_wide(sums + h * kHalf) + widen(v, h));
}

// `vecs` columns of a run: a whole line of the cache, which may be gone when the next column comes.
template <int vecs, class F>
LAMINA_INLINE void sum_run(std::int64_t begin,
                           std::int64_t end,
                           std::int64_t lane,
                           double* const first,
                           double* const second,
                           const F& terms) {
  Terms sum[vecs] = {};
  for (std::int64_t i = begin; i < end; ++i) {
    LAMINA_UNROLL
    for (int v = 0; v < vecs; ++v) {
      const Terms t = terms(i, lane + v * kLanes, kLanes);
      sum[v].first += t.first;
      sum[v].second += t.second;
    }
  }
  LAMINA_UNROLL
  for (int v = 0; v < vecs; ++v) {
    add_wide(first + lane + v * kLanes, sum[v].first);
    add_wide(second + lane + v * kLanes, sum[v].second);
  }
}

template <class F>
void sum_chunk(const Part& part, double* const first, double* const second, const F terms) {
  constexpr int kVecs = 16 / kLanes;
  for (std::int64_t begin = part.begin; begin < part.end; begin += kRun) {
    const std::int64_t end = std::min(begin + kRun, part.end);
    std::int64_t lane = 0;
    for (; lane + kVecs * kLanes <= part.block; lane += kVecs * kLanes)
      sum_run<kVecs>(begin, end, lane, first, second, terms);
    for (; lane < part.block; lane += kLanes) sum_run<1>(begin, end, lane, first, second, terms);
  }
  for (std::int64_t lane = 0; lane < part.rest; lane += kLanes) {
    const std::int64_t count = std::min(kLanes, part.rest - lane);
    const Terms t = terms(part.end, lane, count);
    for (std::int64_t i = 0; i < count; ++i) {
      first[lane + i] += t.first[i];
      second[lane + i] += t.second[i];
    }
  }
}

template <class F>
void sum_channels(
    const Context& ctx, const Layout& layout, double* slots, double* sums, const F& terms) {
  const std::int64_t block = layout.block, channels = layout.channels;
  layout.for_each_chunk(ctx, [&](const Part& part) {
    double* const first = slots + part.chunk * 2 * block;
    double* const second = first + block;
    std::fill(first, first + 2 * block, 0.0);
    sum_chunk(part, first, second, terms);
    for (std::int64_t i = channels; i < block; ++i) {
      first[i % channels] += first[i];
      second[i % channels] += second[i];
    }
  });
  std::fill(sums, sums + 2 * channels, 0.0);
  for (std::int64_t chunk = 0; chunk < layout.chunks; ++chunk)
    for (std::int64_t c = 0; c < channels; ++c) {
      sums[c] += slots[chunk * 2 * block + c];
      sums[channels + c] += slots[(chunk * 2 + 1) * block + c];
    }
}

// Everything by value: the loops store through char, which may change any object in memory.
template <class F, class T, class... In>
void map_chunk(const Part part, const F f, const BlocksOut<T> y, const In... x) {
  for (std::int64_t i = part.begin; i < part.end; ++i)
    for (std::int64_t lane = 0; lane < part.block; lane += kLanes)
      store(y.at(i, lane), f(lane, load(x.at(i, lane))...));
  for (std::int64_t lane = 0; lane < part.rest; lane += kLanes) {
    const std::int64_t count = std::min(kLanes, part.rest - lane);
    store_part(y.at(part.end, lane), f(lane, load_part(x.at(part.end, lane), count)...), count);
  }
}

// y[i] = f(lane of its block, x[i]...) over the whole tensor; y may be one of the x. It follows a
// pass over the same tensors and goes backwards, to meet what that one left in the cache.
template <class F, class T, class... In>
void map_blocks(
    const Context& ctx, const Layout& layout, const F& f, const BlocksOut<T>& y, const In&... x) {
  layout.for_each_chunk_backwards(ctx, [&](const Part& part) { map_chunk(part, f, y, x...); });
}

}  // namespace lamina::cpu
