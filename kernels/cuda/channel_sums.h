// Sums over N, H and W for every channel, in one launch: blocks add up chunks of rows into the
// scratch memory, and the last of those that share their channels adds the chunks up in f64. Which
// row goes into which chunk depends on the shape alone, so the bits repeat.
//   struct Term {
//     static constexpr int kSums = 2;
//     using Channel = float;  // what add() wants to know of a channel
//     LAMINA_DEVICE Channel channel(int c) const;  // asked for once a thread and channel
//     template <int width>                         // of channels [c, c + width) of a pixel
//     LAMINA_DEVICE void add(std::int64_t row, int c, const Channel (&channel)[width],
//                            float (&sum)[kSums][width]) const;
//     LAMINA_DEVICE void finish(int c, const double (&sum)[kSums]) const;  // once a channel
//   };
//   sum_channels<T>(ctx, "name", rows, channels, packs, Term{...});
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/channel_rows.h"

namespace lamina::cuda {

// How rows are cut into chunks, one a block. A block has `lanes` columns side by side (a power of
// two) and takes kBlock / lanes rows at a time.
struct ChunkSize {
  int lanes;
  std::int64_t rows, count;
};

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

template <int width, class Term>
LAMINA_WIDE_KERNEL sum_chunks(Term term,
                              std::int64_t rows,
                              std::int64_t chunk_rows,
                              int channels,
                              int lanes,
                              double* partial,
                              std::uint32_t* tickets) {
  constexpr int kSums = Term::kSums;
  LAMINA_SHARED(double, sums, [width][kBlock]);
  const int thread = static_cast<int>(threadIdx.x), row_step = kBlock / lanes;
  const int c = (static_cast<int>(blockIdx.x) * lanes + thread % lanes) * width;
  const bool has_channels = c < channels, writes = thread < lanes && has_channels;
  const int chunks = static_cast<int>(gridDim.y);
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.y) * chunk_rows;
  const std::int64_t end = begin + chunk_rows < rows ? begin + chunk_rows : rows;
  // Of chunk i: [kSums][channels].
  const auto part = [=](std::int64_t i, int k) { return partial + (i * kSums + k) * channels + c; };
  float sum[kSums][width] = {};
  if (has_channels) {
    typename Term::Channel channel[width];
    for (int j = 0; j < width; ++j) channel[j] = term.channel(c + j);
    for (std::int64_t row = begin + thread / lanes; row < end; row += row_step)
      term.template add<width>(row, c, channel, sum);
  }
  for (int k = 0; k < kSums; ++k) {
    double total[width];
    for (int j = 0; j < width; ++j) total[j] = static_cast<double>(sum[k][j]);
    add_rows(sums, total, lanes);
    if (writes)
      for (int j = 0; j < width; ++j) part(blockIdx.y, k)[j] = sums[j][thread];
  }
  if (!last_block(tickets + blockIdx.x, gridDim.y)) return;
  double all[width][kSums];
  for (int k = 0; k < kSums; ++k) {
    double total[width] = {};
    if (has_channels)
      for (int chunk = thread / lanes; chunk < chunks; chunk += row_step)
        for (int j = 0; j < width; ++j) total[j] += part(chunk, k)[j];
    add_rows(sums, total, lanes);
    if (writes)
      for (int j = 0; j < width; ++j) all[j][k] = sums[j][thread];
  }
  if (writes)
    for (int j = 0; j < width; ++j) term.finish(c + j, all[j]);
}

// packs: see fits_packs().
template <class T, class Term>
void sum_channels(Context& ctx,
                  const char* name,
                  std::int64_t rows,
                  std::int64_t channels,
                  bool packs,
                  const Term& term) {
  visit_width<T>(packs, [&]<int width>(Width<width>) {
    const std::int64_t columns = channels / width;
    const ChunkSize size =
        chunk_size(rows, columns, lanes_for(columns), Term::kSums * width * sizeof(double));
    const Grid grid{static_cast<unsigned>((columns + size.lanes - 1) / size.lanes),
                    static_cast<unsigned>(size.count)};
    LAMINA_CHECK(grid.x <= kTickets,
                 "{}: {} channels are more than there are counters for.",
                 name,
                 channels);
    launch(ctx,
           name,
           grid,
           kBlock,
           sum_chunks<width, Term>,
           term,
           rows,
           size.rows,
           static_cast<int>(channels),
           size.lanes,
           static_cast<double*>(scratch_of(ctx)),
           tickets_of(ctx));
  });
}

}  // namespace lamina::cuda
