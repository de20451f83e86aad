// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/gemm.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/core/parallel.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {
namespace {

constexpr std::int64_t kMaxRows = 14, kMaxVecs = 4;

// The sums, one vector of b each and one value of a have to fit the registers.
constexpr bool fits(std::int64_t rows, std::int64_t vecs) {
  return rows * vecs + vecs + 1 < kRegisters;
}

// Vector v of `vecs` from p on; the last one has `odd` elements when there is a tail.
template <int vecs, bool tail>
LAMINA_INLINE Vec load_vec(const float* p, int v, std::int64_t odd) {
  return tail && v + 1 == vecs ? load_part(p + v * kLanes, odd) : load(p + v * kLanes);
}
template <int vecs, bool tail>
LAMINA_INLINE void store_vec(float* p, int v, std::int64_t odd, const Vec& value) {
  if (tail && v + 1 == vecs)
    store_part(p + v * kLanes, value, odd);
  else
    store(p + v * kLanes, value);
}

// `rows` times `vecs` vectors of c, from row m and column j on. So many terms are added in
// registers, then the block to c: a chain of terms + l / terms roundings instead of l. (N. J.
// Higham, The accuracy of floating point summation, 1993: blocked summation.)
template <int rows, int vecs, bool tail>
void product(const Gemm& g, std::int64_t m, std::int64_t j) {
  const std::int64_t odd = g.j - j - (vecs - 1) * kLanes;
  const float* a = g.a + m * g.a_m;
  const float* b = g.b + j;
  const std::int64_t a_m = g.a_m;
  const std::int64_t c_m = g.c_m > 0 ? g.c_m : g.j;
  float* const c = g.c + m * c_m + j;
  for (std::int64_t done = 0; done < g.l || done == 0; done += g.terms) {
    Vec sum[rows][vecs];
    LAMINA_UNROLL
    for (int v = 0; v < vecs; ++v) {
      const bool biased = done == 0 && g.bias != nullptr;
      const Vec start = biased ? load_vec<vecs, tail>(g.bias + j, v, odd) : Vec{};
      LAMINA_UNROLL
      for (int i = 0; i < rows; ++i) sum[i][v] = start;
    }
    const std::int64_t end = std::min<std::int64_t>(g.l, done + g.terms);
    for (std::int64_t l = done; l < end; ++l) {
      Vec x[vecs];
      LAMINA_UNROLL
      for (int v = 0; v < vecs; ++v) x[v] = load_vec<vecs, tail>(b, v, odd);
      LAMINA_UNROLL
      for (int i = 0; i < rows; ++i) {
        const Vec value = splat(a[i * a_m]);
        LAMINA_UNROLL
        for (int v = 0; v < vecs; ++v) sum[i][v] = multiply_add(x[v], value, sum[i][v]);
      }
      a += g.a_l;
      b += g.b_l;
    }
    LAMINA_UNROLL
    for (int i = 0; i < rows; ++i) {
      LAMINA_UNROLL
      for (int v = 0; v < vecs; ++v) {
        if (done > 0 || g.add) sum[i][v] += load_vec<vecs, tail>(c + i * c_m, v, odd);
        store_vec<vecs, tail>(c + i * c_m, v, odd, sum[i][v]);
      }
    }
  }
}

using Product = void(const Gemm& g, std::int64_t m, std::int64_t j);

template <int rows, int vecs, bool tail>
constexpr Product* entry() {
  if constexpr (fits(rows, vecs)) return &product<rows, vecs, tail>;
  return nullptr;
}
template <int... i>
constexpr auto make_table(std::integer_sequence<int, i...>) {
  return std::array{entry<i / 2 / kMaxVecs + 1, i / 2 % kMaxVecs + 1, i % 2 == 1>()...};
}
constexpr auto kProducts = make_table(std::make_integer_sequence<int, 2 * kMaxRows * kMaxVecs>{});

Product* product_of(std::int64_t rows, std::int64_t vecs, bool tail) {
  return kProducts[static_cast<std::size_t>(((rows - 1) * kMaxVecs + vecs - 1) * 2 + tail)];
}

// The most rows whose sums fit. Of 32 registers: 14, 14, 9 and 6 (6x4 reads least for its
// arithmetic); of 16: 13, 6, 3 and 2 (of which 6x2 does).
constexpr std::int64_t max_rows(std::int64_t vecs) {
  std::int64_t rows = kMaxRows;
  while (!fits(rows, vecs)) --rows;
  return rows;
}

// Blocks of like size rather than full ones and a rest: 16 rows are 8 + 8, not 14 + 2.
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
  const std::int64_t vecs = (j + kLanes - 1) / kLanes;
  // With 32 registers four vectors where that comes out even, else three.
  const std::int64_t widest = kRegisters < 32 ? 2 : vecs % 4 == 0 || vecs > 8 ? 4 : 3;
  for_each_part(0, vecs, widest, [&](std::int64_t v, std::int64_t count) {
    const bool tail = (v + count) * kLanes > j;
    for_each_part(begin, end, max_rows(count), [&](std::int64_t row, std::int64_t height) {
      product_of(height, count, tail)(*this, row, v * kLanes);
    });
  });
}

void Gemm::run(const Context& ctx) const {
  // A few microseconds of multiply-adds for a thread at least.
  constexpr std::int64_t kGrain = 1 << 17;
  const std::int64_t grain = std::max<std::int64_t>(8, kGrain / std::max<std::int64_t>(1, j * l));
  parallel_for(ctx, m, grain, [&](std::int64_t begin, std::int64_t end) { run_rows(begin, end); });
}

}  // namespace lamina::cpu
