// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/gemm.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/core/parallel.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {
namespace {

constexpr std::int64_t kMaxRows = 8, kMaxVecs = 4;

// The sums, one vector of b each and one value of a have to fit 32 registers.
constexpr bool fits(std::int64_t rows, std::int64_t vecs) { return rows * vecs + vecs + 1 <= 31; }

struct Block {
  const Gemm& g;
  std::int64_t m, j, last;  // the block's first row and column, and the column of its last vector
};

// rows x vecs vectors of c. The last vector of a row may start early, so that it ends with the row:
// it then repeats columns of its neighbour. Rows shorter than a vector are stored in part.
template <int rows, int vecs>
void product(const Block& block) {
  const Gemm& g = block.g;
  const std::int64_t count = std::min(kLanes, g.j);
  Vec sum[rows][vecs];
  LAMINA_UNROLL
  for (int v = 0; v < vecs; ++v) {
    const std::int64_t column = v + 1 < vecs ? block.j + v * kLanes : block.last;
    const Vec start = g.bias != nullptr ? load(g.bias + column) : Vec{};
    LAMINA_UNROLL
    for (int i = 0; i < rows; ++i) sum[i][v] = start;
  }
  const float* a = g.a + block.m * g.a_m;
  const float* b = g.b;
  const std::int64_t a_m = g.a_m;
  for (std::int64_t l = 0; l < g.l; ++l) {
    Vec x[vecs];
    LAMINA_UNROLL
    for (int v = 0; v < vecs; ++v)
      x[v] = load(b + (v + 1 < vecs ? block.j + v * kLanes : block.last));
    LAMINA_UNROLL
    for (int i = 0; i < rows; ++i) {
      const Vec value = splat(a[i * a_m]);
      LAMINA_UNROLL
      for (int v = 0; v < vecs; ++v) sum[i][v] += x[v] * value;
    }
    a += g.a_l;
    b += g.b_l;
  }
  float* const c = g.c + block.m * g.j;
  if (count < kLanes) {
    LAMINA_UNROLL
    for (int i = 0; i < rows; ++i) store_part(c + i * g.j, sum[i][0], count);
    return;
  }
  LAMINA_UNROLL
  for (int i = 0; i < rows; ++i) {
    LAMINA_UNROLL
    for (int v = 0; v < vecs; ++v)
      store(c + i * g.j + (v + 1 < vecs ? block.j + v * kLanes : block.last), sum[i][v]);
  }
}

using Product = void(const Block& block);

template <int rows, int vecs>
constexpr Product* entry() {
  if constexpr (fits(rows, vecs)) return &product<rows, vecs>;
  return nullptr;
}
template <int... i>
constexpr auto make_table(std::integer_sequence<int, i...>) {
  return std::array{entry<i / kMaxVecs + 1, i % kMaxVecs + 1>()...};
}
constexpr auto kProducts = make_table(std::make_integer_sequence<int, kMaxRows * kMaxVecs>{});

Product* product_of(std::int64_t rows, std::int64_t vecs) {
  return kProducts[static_cast<std::size_t>((rows - 1) * kMaxVecs + vecs - 1)];
}

std::int64_t vecs_of(std::int64_t j) { return (j + kLanes - 1) / kLanes; }

// Blocks of like size rather than full ones and a rest: 8 vectors are 3 + 3 + 2.
template <class Body>
void for_each_part(std::int64_t begin, std::int64_t end, std::int64_t largest, const Body& body) {
  const std::int64_t count = end - begin, parts = (count + largest - 1) / largest;
  for (std::int64_t i = 0; i < parts; ++i) {
    const std::int64_t first = begin + count * i / parts;
    body(first, begin + count * (i + 1) / parts - first);
  }
}

}  // namespace

void Gemm::run_rows(std::int64_t begin, std::int64_t end) const {
  const std::int64_t vecs = vecs_of(j);
  // Four vectors wide where that comes out even: 6x4 blocks read least.
  const std::int64_t widest = vecs % 4 == 0 || vecs > 8 ? 4 : 3;
  for_each_part(0, vecs, widest, [&](std::int64_t v, std::int64_t count) {
    const std::int64_t rows = count == 4 ? 6 : kMaxRows;
    const std::int64_t last = j < kLanes ? 0 : std::min((v + count - 1) * kLanes, j - kLanes);
    for_each_part(begin, end, rows, [&](std::int64_t row, std::int64_t height) {
      product_of(height, count)(Block{*this, row, v * kLanes, last});
    });
  });
}

void Gemm::run(const Context& ctx) const {
  // At least a microsecond or two of multiply-adds for a thread.
  constexpr std::int64_t kGrain = 1 << 17;
  const std::int64_t grain =
      std::max<std::int64_t>(kMaxRows, kGrain / std::max<std::int64_t>(1, j * l));
  parallel_for(ctx, m, grain, [&](std::int64_t begin, std::int64_t end) { run_rows(begin, end); });
}

}  // namespace lamina::cpu
