// Two sums over N, H and W for every channel, in two launches: blocks add up chunks of rows into
// the scratch memory, then one thread a channel adds the chunks in f64. Which row goes into which
// chunk depends on the shape alone, so the bits repeat.
//   struct Term {
//     LAMINA_DEVICE float pivot(int c) const;  // asked for once a thread
//     LAMINA_DEVICE Pair operator()(std::int64_t row, int c, float pivot) const;
//   };
//   const ChannelChunks chunks = add_channels(ctx, "name", rows, channels, Term{...});
//   launch(..., finish, chunks, ...)  with  chunks.total(c)  inside
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/language.h"

namespace lamina::cuda {

struct Pair {
  float a = 0.0f, b = 0.0f;
};

struct PairF64 {
  double a = 0.0, b = 0.0;
};

struct ChannelChunks {
  const Pair* partial = nullptr;  // [count][channels]
  int count = 0, channels = 0;

  LAMINA_DEVICE PairF64 total(int c) const {
    PairF64 sum;
    for (int i = 0; i < count; ++i) {
      const Pair part = partial[static_cast<std::int64_t>(i) * channels + c];
      sum.a += static_cast<double>(part.a);
      sum.b += static_cast<double>(part.b);
    }
    return sum;
  }
};

// How rows are cut into chunks, one a block. A block has `lanes` columns side by side (a power of
// two) and takes kBlock / lanes rows at a time.
struct ChunkSize {
  int lanes;
  std::int64_t rows, count;
};

// As many lanes as there are columns, or as fit.
inline int lanes_for(std::int64_t columns) {
  int lanes = 1;
  while (lanes < columns && lanes < kBlock) lanes *= 2;
  return lanes;
}

// `bytes`: what a chunk leaves in the scratch memory, a column.
inline ChunkSize chunk_size(std::int64_t rows, std::int64_t columns, int lanes, std::size_t bytes) {
  // Sixteen rows a thread at least, and no more chunks than one thread likes to add up.
  constexpr std::int64_t kRowsPerThread = 16, kMostChunks = 512;
  const std::int64_t fit = static_cast<std::int64_t>(kScratchBytes / bytes) / columns;
  const std::int64_t most = fit < kMostChunks ? fit : kMostChunks;
  const std::int64_t least_rows = kRowsPerThread * kBlock / lanes;
  std::int64_t chunks = (rows + least_rows - 1) / least_rows;
  if (chunks > most) chunks = most;
  if (chunks < 1) chunks = 1;
  const std::int64_t chunk_rows = (rows + chunks - 1) / chunks;
  return {lanes, chunk_rows, (rows + chunk_rows - 1) / chunk_rows};
}

// Adds up the values of the threads that have the same lane, in an order that depends on the block
// alone; thread `lane` finds their sum in sums[...][lane].
template <int width>
LAMINA_DEVICE void add_rows(double (&sums)[width][kBlock],
                            const double (&value)[width],
                            int lanes) {
  const int thread = static_cast<int>(threadIdx.x);
  barrier();  // behind whatever read them before
  for (int j = 0; j < width; ++j) sums[j][thread] = value[j];
  for (int half = kBlock / 2; half >= lanes; half /= 2) {
    barrier();
    if (thread < half) {
      for (int j = 0; j < width; ++j) sums[j][thread] += sums[j][thread + half];
    }
  }
}

template <class Term>
LAMINA_KERNEL add_chunk(
    Term term, std::int64_t rows, std::int64_t chunk_rows, int channels, int lanes, Pair* partial) {
  LAMINA_SHARED(Pair, sums, [kBlock]);
  const int thread = static_cast<int>(threadIdx.x);
  const int c = static_cast<int>(blockIdx.x) * lanes + thread % lanes;
  const int row_step = kBlock / lanes;
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.y) * chunk_rows;
  const std::int64_t end = begin + chunk_rows < rows ? begin + chunk_rows : rows;
  Pair sum;
  if (c < channels) {
    const float pivot = term.pivot(c);
    for (std::int64_t row = begin + thread / lanes; row < end; row += row_step) {
      const Pair value = term(row, c, pivot);
      sum.a += value.a;
      sum.b += value.b;
    }
  }
  sums[thread] = sum;
  for (int half = kBlock / 2; half >= lanes; half /= 2) {
    barrier();
    if (thread < half) {
      sums[thread].a += sums[thread + half].a;
      sums[thread].b += sums[thread + half].b;
    }
  }
  if (thread < lanes && c < channels)
    partial[static_cast<std::int64_t>(blockIdx.y) * channels + c] = sums[thread];
}

template <class Term>
ChannelChunks add_channels(
    Context& ctx, const char* name, std::int64_t rows, std::int64_t channels, const Term& term) {
  const ChunkSize size = chunk_size(rows, channels, lanes_for(channels), sizeof(Pair));
  Pair* const partial = static_cast<Pair*>(scratch_of(ctx));
  const Grid grid{static_cast<unsigned>((channels + size.lanes - 1) / size.lanes),
                  static_cast<unsigned>(size.count)};
  launch(ctx,
         name,
         grid,
         kBlock,
         add_chunk<Term>,
         term,
         rows,
         size.rows,
         static_cast<int>(channels),
         size.lanes,
         partial);
  return {partial, static_cast<int>(size.count), static_cast<int>(channels)};
}

}  // namespace lamina::cuda
