// Average pooling to a given size. Forward: the window of an output is dealt out to threads of one
// block, which add up their parts in shared memory; large windows have more of them. Backward
// gathers, a thread an input. Both take as many channels at a time as 16 bytes hold, where they
// can, and a block stays in one row of its output, which leaves few divisions to find a place.
// Contract: kernels/adaptive_pool.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/adaptive_pool.h"

#include "kernels/checks.h"
#include "kernels/cuda/pointwise.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

// x is [n,h,w,c], y [n,p,q,c].
struct Sizes {
  int n, h, w, p, q, c;
};

struct Span {
  int begin, end;
  LAMINA_DEVICE int size() const { return end - begin; }
};

// The inputs under output `out`. With the sizes the other way round, the outputs over an input.
// Sides below 2^16 keep the products in 32 bits.
LAMINA_DEVICE Span span_of(int out, int out_size, int in_size) {
  const auto o = static_cast<unsigned>(out), to = static_cast<unsigned>(out_size),
             from = static_cast<unsigned>(in_size);
  return {static_cast<int>(o * from / to), static_cast<int>(((o + 1) * from + to - 1) / to)};
}

template <int width>
struct Sums {
  float v[width];
};

template <int width, class T>
LAMINA_DEVICE cuda::Pack<T, width> load(const T* from) {
  return *reinterpret_cast<const cuda::Pack<T, width>*>(from);
}

template <int width, class T>
LAMINA_DEVICE void store(T* to, const Sums<width>& sum, float share) {
  cuda::Pack<T, width> pack;
  for (int j = 0; j < width; ++j) pack.v[j] = cuda::from_f32<T>(sum.v[j] * share);
  *reinterpret_cast<cuda::Pack<T, width>*>(to) = pack;
}

// A block has kBlock / parts outputs of `width` channels at a time, and `parts` threads for each (a
// power of two). Every part takes its elements of a row of the window into one sum first: a single
// sum over a large map would lose digits. Which part an element is in depends on the shapes alone.
template <int width, class T>
LAMINA_KERNEL average(const T* x, T* y, int parts, Sizes z) {
  LAMINA_SHARED(float, shared, [width][cuda::kBlock]);
  const int thread = static_cast<int>(threadIdx.x), outputs = cuda::kBlock / parts;
  const int i = static_cast<int>(blockIdx.x) * outputs + thread % outputs, packs = z.c / width;
  const int q = i / packs, c = i % packs * width;
  const Span columns = span_of(q < z.q ? q : 0, z.q, z.w);
  for (int line = static_cast<int>(blockIdx.y); line < z.n * z.p;
       line += static_cast<int>(gridDim.y)) {
    const Span rows = span_of(line % z.p, z.p, z.h);
    const T* const image = x + static_cast<std::int64_t>(line / z.p) * z.h * z.w * z.c + c;
    Sums<width> sum = {};
    int w = columns.begin + thread / outputs;
    for (int h = rows.begin; q < z.q && h < rows.end; ++h) {
      Sums<width> row_sum = {};
      for (; w < columns.end; w += parts) {
        const auto pack = load<width>(image + (static_cast<std::int64_t>(h) * z.w + w) * z.c);
        for (int j = 0; j < width; ++j) row_sum.v[j] += cuda::as_f32(pack.v[j]);
      }
      for (int j = 0; j < width; ++j) sum.v[j] += row_sum.v[j];
      w -= columns.size();
    }
    if (parts > 1) {
      for (int j = 0; j < width; ++j) shared[j][thread] = sum.v[j];
      for (int half = cuda::kBlock / 2; half >= outputs; half /= 2) {
        cuda::barrier();
        if (thread < half)
          for (int j = 0; j < width; ++j) shared[j][thread] += shared[j][thread + half];
      }
      for (int j = 0; j < width; ++j) sum.v[j] = shared[j][thread];
      cuda::barrier();
    }
    if (thread < outputs && q < z.q)
      store<width>(y + (static_cast<std::int64_t>(line) * z.q + q) * z.c + c,
                   sum,
                   1.0f / static_cast<float>(rows.size() * columns.size()));
  }
}

template <int width, class T>
LAMINA_KERNEL spread(const T* dy, T* dx, Sizes z) {
  const int i = static_cast<int>(cuda::first_thread()), packs = z.c / width;
  const int w = i / packs, c = i % packs * width;
  if (w >= z.w) return;
  const Span qs = span_of(w, z.w, z.q);
  for (int line = static_cast<int>(blockIdx.y); line < z.n * z.h;
       line += static_cast<int>(gridDim.y)) {
    const Span ps = span_of(line % z.h, z.h, z.p);
    const T* const image = dy + static_cast<std::int64_t>(line / z.h) * z.p * z.q * z.c + c;
    Sums<width> sum = {};
    for (int p = ps.begin; p < ps.end; ++p) {
      const int height = span_of(p, z.p, z.h).size();
      for (int q = qs.begin; q < qs.end; ++q) {
        const float share = 1.0f / static_cast<float>(height * span_of(q, z.q, z.w).size());
        const auto pack = load<width>(image + (static_cast<std::int64_t>(p) * z.q + q) * z.c);
        for (int j = 0; j < width; ++j) sum.v[j] += cuda::as_f32(pack.v[j]) * share;
      }
    }
    store<width>(dx + (static_cast<std::int64_t>(line) * z.w + w) * z.c + c, sum, 1.0f);
  }
}

Sizes sizes_of(const Shape& x, const Shape& y) {
  constexpr std::int64_t kMost = 65535;
  LAMINA_CHECK(x.h <= kMost && x.w <= kMost && y.h <= kMost && y.w <= kMost,
               "adaptive average pooling: {} and {} have a side beyond {}, the most that the cuda "
               "backend takes; crop the images.",
               x.to_string(),
               y.to_string(),
               kMost);
  return {static_cast<int>(x.n),
          static_cast<int>(x.h),
          static_cast<int>(x.w),
          static_cast<int>(y.h),
          static_cast<int>(y.w),
          static_cast<int>(x.c)};
}

// Threads for one output: four elements each at least, and no more than leave eight outputs side by
// side in a block, whose channels are whole lines of memory.
int parts_of(const Shape& x, const Shape& y) {
  const std::int64_t window = ((x.h + y.h - 1) / y.h) * ((x.w + y.w - 1) / y.w);
  int parts = 1;
  while (parts < cuda::kBlock / 8 && window >= 8 * parts) parts *= 2;
  return parts;
}

// Blocks along a row of a tensor, and the rows.
cuda::Grid grid_for(const Shape& s, int width, int parts) {
  const std::int64_t per_block = cuda::kBlock / parts, lines = s.n * s.h;
  constexpr std::int64_t kMostLines = 65535;
  return {static_cast<unsigned>((s.w * (s.c / width) + per_block - 1) / per_block),
          static_cast<unsigned>(lines < kMostLines ? lines : kMostLines)};
}

}  // namespace

void cuda::adaptive_avg_pool_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  checks::adaptive_avg_pool_forward(ctx, x, y);
  const int parts = parts_of(x.shape, y.shape);
  visit_compute(x.dtype, "adaptive_avg_pool_forward", [&]<class T>(T) {
    constexpr int kWidth = kPackWidth<T>;
    const bool packs = x.shape.c % kWidth == 0 && aligned_for_packs(x.as<T>(), y.as<T>());
    launch(ctx,
           "adaptive_avg_pool_forward",
           grid_for(y.shape, packs ? kWidth : 1, parts),
           kBlock,
           packs ? average<kWidth, T> : average<1, T>,
           static_cast<const T*>(x.as<T>()),
           y.as<T>(),
           parts,
           sizes_of(x.shape, y.shape));
  });
}

void cuda::adaptive_avg_pool_backward(Context& ctx, const Tensor& dy, const Tensor& dx) {
  checks::adaptive_avg_pool_backward(ctx, dy, dx);
  visit_compute(dx.dtype, "adaptive_avg_pool_backward", [&]<class T>(T) {
    constexpr int kWidth = kPackWidth<T>;
    const bool packs = dx.shape.c % kWidth == 0 && aligned_for_packs(dy.as<T>(), dx.as<T>());
    launch(ctx,
           "adaptive_avg_pool_backward",
           grid_for(dx.shape, packs ? kWidth : 1, 1),
           kBlock,
           packs ? spread<kWidth, T> : spread<1, T>,
           static_cast<const T*>(dy.as<T>()),
           dx.as<T>(),
           sizes_of(dx.shape, dy.shape));
  });
}

}  // namespace lamina
