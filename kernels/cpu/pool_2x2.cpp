// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/pool_2x2.h"

#include <algorithm>

#include "engine/core/parallel.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {
namespace {

template <int lanes>
struct Lanes;
template <>
struct Lanes<8> {
  using F = float __attribute__((vector_size(32)));
  using I = std::int32_t __attribute__((vector_size(32)));
  using B = std::uint8_t __attribute__((vector_size(8)));
  using H = std::uint16_t __attribute__((vector_size(16)));
  using U = std::uint32_t __attribute__((vector_size(32)));
};
template <>
struct Lanes<16> {
  using F = float __attribute__((vector_size(64)));
  using I = std::int32_t __attribute__((vector_size(64)));
  using B = std::uint8_t __attribute__((vector_size(16)));
  using H = std::uint16_t __attribute__((vector_size(32)));
  using U = std::uint32_t __attribute__((vector_size(64)));
};

template <class V>
LAMINA_INLINE V get(const void* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class V>
LAMINA_INLINE void put(void* p, const V& v) {
  std::memcpy(p, &v, sizeof v);
}

// So many elements as f32, and back.
template <int lanes>
LAMINA_INLINE auto get_lanes(const float* p) {
  return get<typename Lanes<lanes>::F>(p);
}
template <int lanes>
LAMINA_INLINE auto get_lanes(const bf16* p) {
  using L = Lanes<lanes>;
  return widened_lanes<typename L::F, typename L::I, lanes>(get<typename L::H>(p));
}
template <int lanes>
LAMINA_INLINE void put_lanes(float* p, const typename Lanes<lanes>::F& v) {
  put(p, v);
}
template <int lanes>
LAMINA_INLINE void put_lanes(bf16* p, const typename Lanes<lanes>::F& v) {
  using L = Lanes<lanes>;
  put(p, narrowed_lanes<typename L::H, typename L::U>(v));
}

// The four pixels of a window, in row order.
template <class T>
struct Window {
  const T* pixel[4];
};

// NaN beats every number and is beaten by nothing; among equals the first wins.
struct MaxForward {
  std::uint8_t* idx;

  template <int lanes, class T>
  LAMINA_INLINE void vector(const Window<T>& w, std::int64_t c, std::int64_t at, T* y) const {
    using L = Lanes<lanes>;
    auto best = get_lanes<lanes>(w.pixel[0] + c);
    typename L::I place{};
    for (int i = 1; i < 4; ++i) {
      const auto value = get_lanes<lanes>(w.pixel[i] + c);
      const typename L::I wins = ~(best >= value) & (best == best);
      best = wins ? value : best;
      place = wins ? typename L::I{} + i : place;
    }
    put_lanes<lanes>(y + at, best);
    if (idx != nullptr) put(idx + at, __builtin_convertvector(place, typename L::B));
  }
  template <class T>
  void scalar(const Window<T>& w, std::int64_t c, std::int64_t at, T* y) const {
    float best = widened(w.pixel[0][c]);
    std::uint8_t place = 0;
    for (std::uint8_t i = 1; i < 4; ++i) {
      const float value = widened(w.pixel[i][c]);
      if (!(best >= value) && best == best) {
        best = value;
        place = i;
      }
    }
    y[at] = stored<T>(best);
    if (idx != nullptr) idx[at] = place;
  }
};

struct AvgForward {
  template <int lanes, class T>
  LAMINA_INLINE void vector(const Window<T>& w, std::int64_t c, std::int64_t at, T* y) const {
    const auto top = get_lanes<lanes>(w.pixel[0] + c) + get_lanes<lanes>(w.pixel[1] + c);
    const auto bottom = get_lanes<lanes>(w.pixel[2] + c) + get_lanes<lanes>(w.pixel[3] + c);
    put_lanes<lanes>(y + at, (top + bottom) * 0.25f);
  }
  template <class T>
  void scalar(const Window<T>& w, std::int64_t c, std::int64_t at, T* y) const {
    const float top = widened(w.pixel[0][c]) + widened(w.pixel[1][c]);
    const float bottom = widened(w.pixel[2][c]) + widened(w.pixel[3][c]);
    y[at] = stored<T>((top + bottom) * 0.25f);
  }
};

// The gradients of the two places of row r of the window of output channel `at`.
template <class T>
struct MaxBackward {
  const T* dy;
  const std::uint8_t* idx;

  template <int lanes>
  LAMINA_INLINE void vector(std::int64_t at, int r, T* left, T* right) const {
    using L = Lanes<lanes>;
    const auto gradient = get_lanes<lanes>(dy + at);
    const auto place = convert_lanes<typename L::I, lanes>(get<typename L::B>(idx + at));
    put_lanes<lanes>(left, place == 2 * r ? gradient : typename L::F{});
    put_lanes<lanes>(right, place == 2 * r + 1 ? gradient : typename L::F{});
  }
  void scalar(std::int64_t at, int r, T* left, T* right) const {
    *left = idx[at] == 2 * r ? dy[at] : T{};
    *right = idx[at] == 2 * r + 1 ? dy[at] : T{};
  }
};

template <class T>
struct AvgBackward {
  const T* dy;

  template <int lanes>
  LAMINA_INLINE void vector(std::int64_t at, int, T* left, T* right) const {
    const auto share = get_lanes<lanes>(dy + at) * 0.25f;
    put_lanes<lanes>(left, share);
    put_lanes<lanes>(right, share);
  }
  void scalar(std::int64_t at, int, T* left, T* right) const {
    *left = *right = stored<T>(widened(dy[at]) * 0.25f);
  }
};

// For c = 0, lanes, ... the last vector shifted back so that it ends with the last channel.
template <int lanes, class F>
LAMINA_INLINE void for_each_vector(std::int64_t channels, const F& f) {
  std::int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) f(c);
  if (c < channels) f(channels - lanes);
}

// One row of windows: `whole` of its `pixels` outputs may be written as whole vectors. Everything
// by value: the loops store through char, which may change any object in memory.
template <int lanes, class T, class Op>
void forward_row(const Op op,
                 const T* left,
                 const std::int64_t stride,
                 const std::int64_t channels,
                 const std::int64_t pixels,
                 const std::int64_t whole,
                 std::int64_t at,
                 T* const y) {
  for (std::int64_t q = 0; q < pixels; ++q, left += 2 * channels, at += channels) {
    const Window<T> w{{left, left + channels, left + stride, left + stride + channels}};
    if (q >= whole)
      for (std::int64_t c = 0; c < channels; ++c) op.scalar(w, c, at + c, y);
    else if (channels < lanes)
      op.template vector<lanes>(w, 0, at, y);
    else
      for_each_vector<lanes>(channels,
                             [=](std::int64_t c) { op.template vector<lanes>(w, c, at + c, y); });
  }
}

// Row r of the windows.
template <int lanes, class T, class Op>
void backward_row(const Op op,
                  const int r,
                  T* left,
                  const std::int64_t channels,
                  const std::int64_t pixels,
                  const std::int64_t whole,
                  std::int64_t at) {
  for (std::int64_t q = 0; q < pixels; ++q, left += 2 * channels, at += channels) {
    T* const right = left + channels;
    if (q >= whole)
      for (std::int64_t c = 0; c < channels; ++c) op.scalar(at + c, r, left + c, right + c);
    else if (channels < lanes)
      op.template vector<lanes>(at, r, left, right);
    else
      for_each_vector<lanes>(channels, [=](std::int64_t c) {
        op.template vector<lanes>(at + c, r, left + c, right + c);
      });
  }
}

// Calls body(row of outputs, its outputs that may be written as whole vectors): with fewer channels
// than lanes a vector reaches beyond its pixel, which the last pixels of a thread's range may not.
template <int lanes, class Body>
void for_each_row(const Context& ctx, const Shape& out, const Body& body) {
  const std::int64_t odd = out.c < lanes ? (lanes + out.c - 1) / out.c : 0;
  const std::int64_t grain = std::max<std::int64_t>(1, 4096 / (out.w * out.c));
  parallel_for(ctx, out.n * out.h, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      body(row, std::clamp<std::int64_t>((end - row) * out.w - odd, 0, out.w));
  });
}

template <int lanes, class T, class Op>
void forward(
    const Context& ctx, const Shape& in, const Shape& out, const T* x, T* y, const Op& op) {
  const std::int64_t stride = in.w * in.c;
  for_each_row<lanes>(ctx, out, [&](std::int64_t row, std::int64_t whole) {
    const T* const top = x + (row / out.h * in.h + row % out.h * 2) * stride;
    forward_row<lanes>(op, top, stride, in.c, out.w, whole, row * out.w * out.c, y);
  });
}

template <int lanes, class T, class Op>
void backward(const Context& ctx, const Shape& in, const Shape& out, T* dx, const Op& op) {
  const std::int64_t stride = in.w * in.c;
  for_each_row<lanes>(ctx, out, [&](std::int64_t row, std::int64_t whole) {
    const std::int64_t p = row % out.h;
    T* const top = dx + (row / out.h * in.h + p * 2) * stride;
    for (int r = 0; r < 2; ++r) {
      T* const line = top + r * stride;
      backward_row<lanes>(op, r, line, in.c, out.w, whole, row * out.w * out.c);
      // A column that no window covers.
      std::fill(line + 2 * out.w * in.c, line + stride, T{});
    }
    if (p + 1 == out.h) std::fill(top + 2 * stride, top + (in.h - 2 * p) * stride, T{});
  });
}

// Eight lanes waste less than sixteen on a few channels; sixteen take a register of AVX-512.
template <class Body>
void visit_lanes(std::int64_t channels, const Body& body) {
  if (kLanes == 8 || channels <= 8)
    body(std::integral_constant<int, 8>{});
  else
    body(std::integral_constant<int, 16>{});
}

}  // namespace

template <class T>
void max_pool_2x2_forward(
    const Context& ctx, const Shape& in, const Shape& out, const T* x, T* y, std::uint8_t* idx) {
  visit_lanes(in.c, [&](auto lanes) { forward<lanes>(ctx, in, out, x, y, MaxForward{idx}); });
}

template <class T>
void max_pool_2x2_backward(const Context& ctx,
                           const Shape& in,
                           const Shape& out,
                           const T* dy,
                           const std::uint8_t* idx,
                           T* dx) {
  visit_lanes(in.c, [&](auto lanes) {
    backward<lanes>(ctx, in, out, dx, MaxBackward<T>{dy, idx});
  });
}

template <class T>
void avg_pool_2x2_forward(const Context& ctx, const Shape& in, const Shape& out, const T* x, T* y) {
  visit_lanes(in.c, [&](auto lanes) { forward<lanes>(ctx, in, out, x, y, AvgForward{}); });
}

template <class T>
void avg_pool_2x2_backward(
    const Context& ctx, const Shape& in, const Shape& out, const T* dy, T* dx) {
  visit_lanes(in.c, [&](auto lanes) { backward<lanes>(ctx, in, out, dx, AvgBackward<T>{dy}); });
}

#define LAMINA_POOL_2X2(T)                                                                      \
  template void max_pool_2x2_forward(                                                           \
      const Context&, const Shape&, const Shape&, const T*, T*, std::uint8_t*);                 \
  template void max_pool_2x2_backward(                                                          \
      const Context&, const Shape&, const Shape&, const T*, const std::uint8_t*, T*);           \
  template void avg_pool_2x2_forward(const Context&, const Shape&, const Shape&, const T*, T*); \
  template void avg_pool_2x2_backward(const Context&, const Shape&, const Shape&, const T*, T*);
LAMINA_POOL_2X2(float)
LAMINA_POOL_2X2(bf16)

}  // namespace lamina::cpu
