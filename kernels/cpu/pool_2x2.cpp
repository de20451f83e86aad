// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/pool_2x2.h"

#include <algorithm>

#include "engine/core/parallel.h"
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
};
template <>
struct Lanes<16> {
  using F = float __attribute__((vector_size(64)));
  using I = std::int32_t __attribute__((vector_size(64)));
  using B = std::uint8_t __attribute__((vector_size(16)));
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

// The four pixels of a window, in row order.
struct Window {
  const float* pixel[4];
};

// NaN beats every number and is beaten by nothing; among equals the first wins.
struct MaxForward {
  std::uint8_t* idx;

  template <int lanes>
  LAMINA_INLINE void vector(const Window& w, std::int64_t c, std::int64_t at, float* y) const {
    using L = Lanes<lanes>;
    auto best = get<typename L::F>(w.pixel[0] + c);
    typename L::I place{};
    for (int i = 1; i < 4; ++i) {
      const auto value = get<typename L::F>(w.pixel[i] + c);
      const typename L::I wins = ~(best >= value) & (best == best);
      best = wins ? value : best;
      place = wins ? typename L::I{} + i : place;
    }
    put(y + at, best);
    if (idx != nullptr) put(idx + at, __builtin_convertvector(place, typename L::B));
  }
  void scalar(const Window& w, std::int64_t c, std::int64_t at, float* y) const {
    float best = w.pixel[0][c];
    std::uint8_t place = 0;
    for (std::uint8_t i = 1; i < 4; ++i) {
      const float value = w.pixel[i][c];
      if (!(best >= value) && best == best) {
        best = value;
        place = i;
      }
    }
    y[at] = best;
    if (idx != nullptr) idx[at] = place;
  }
};

struct AvgForward {
  template <int lanes>
  LAMINA_INLINE void vector(const Window& w, std::int64_t c, std::int64_t at, float* y) const {
    using F = typename Lanes<lanes>::F;
    const F top = get<F>(w.pixel[0] + c) + get<F>(w.pixel[1] + c);
    const F bottom = get<F>(w.pixel[2] + c) + get<F>(w.pixel[3] + c);
    put(y + at, (top + bottom) * 0.25f);
  }
  void scalar(const Window& w, std::int64_t c, std::int64_t at, float* y) const {
    y[at] = ((w.pixel[0][c] + w.pixel[1][c]) + (w.pixel[2][c] + w.pixel[3][c])) * 0.25f;
  }
};

// The gradient of place i of a window of output channel `at`.
struct MaxBackward {
  const float* dy;
  const std::uint8_t* idx;

  template <int lanes>
  LAMINA_INLINE auto vector(std::int64_t at, int i) const {
    using L = Lanes<lanes>;
    const auto place = __builtin_convertvector(get<typename L::B>(idx + at), typename L::I);
    return place == i ? get<typename L::F>(dy + at) : typename L::F{};
  }
  float scalar(std::int64_t at, int i) const { return idx[at] == i ? dy[at] : 0.0f; }
};

struct AvgBackward {
  const float* dy;

  template <int lanes>
  LAMINA_INLINE auto vector(std::int64_t at, int) const {
    return get<typename Lanes<lanes>::F>(dy + at) * 0.25f;
  }
  float scalar(std::int64_t at, int) const { return dy[at] * 0.25f; }
};

std::int64_t row_grain(const Shape& out) {
  return std::max<std::int64_t>(1, 4096 / (out.w * out.c));
}

// For c = 0, lanes, ... the last vector shifted back so that it ends with the last channel.
template <int lanes, class F>
LAMINA_INLINE void for_each_vector(std::int64_t channels, const F& f) {
  std::int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) f(c);
  if (c < channels) f(channels - lanes);
}

template <int lanes, class Op>
void forward(
    const Context& ctx, const Shape& in, const Shape& out, const float* x, float* y, const Op& op) {
  const std::int64_t channels = in.c, stride = in.w * in.c;
  // Pixels before the end of the range whose vectors would leave it.
  const std::int64_t odd = channels < lanes ? (lanes + channels - 1) / channels : 0;
  parallel_for(ctx, out.n * out.h, row_grain(out), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t whole = end * out.w - odd;
    for (std::int64_t row = begin; row < end; ++row) {
      const float* const top = x + (row / out.h * in.h + row % out.h * 2) * stride;
      for (std::int64_t q = 0; q < out.w; ++q) {
        const float* const left = top + 2 * q * channels;
        const Window w{{left, left + channels, left + stride, left + stride + channels}};
        const std::int64_t pixel = row * out.w + q, at = pixel * channels;
        if (channels >= lanes)
          for_each_vector<lanes>(
              channels, [&](std::int64_t c) { op.template vector<lanes>(w, c, at + c, y); });
        else if (pixel < whole)
          op.template vector<lanes>(w, 0, at, y);
        else
          for (std::int64_t c = 0; c < channels; ++c) op.scalar(w, c, at + c, y);
      }
    }
  });
}

template <int lanes, class Op>
void backward(const Context& ctx, const Shape& in, const Shape& out, float* dx, const Op& op) {
  const std::int64_t channels = in.c, stride = in.w * in.c;
  const std::int64_t odd = channels < lanes ? (lanes + channels - 1) / channels : 0;
  parallel_for(ctx, out.n * out.h, row_grain(out), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t whole = end * out.w - odd;
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t p = row % out.h;
      float* const top = dx + (row / out.h * in.h + p * 2) * stride;
      for (int r = 0; r < 2; ++r) {
        for (std::int64_t q = 0; q < out.w; ++q) {
          float* const left = top + r * stride + 2 * q * channels;
          const std::int64_t pixel = row * out.w + q, at = pixel * channels;
          for (int s = 0; s < 2; ++s) {
            float* const to = left + s * channels;
            const int place = 2 * r + s;
            if (channels >= lanes)
              for_each_vector<lanes>(channels, [&](std::int64_t c) {
                put(to + c, op.template vector<lanes>(at + c, place));
              });
            else if (pixel < whole)
              put(to, op.template vector<lanes>(at, place));
            else
              for (std::int64_t c = 0; c < channels; ++c) to[c] = op.scalar(at + c, place);
          }
        }
        // A column that no window covers.
        std::fill(top + r * stride + 2 * out.w * channels, top + (r + 1) * stride, 0.0f);
      }
      if (p + 1 == out.h) std::fill(top + 2 * stride, top + (in.h - 2 * p) * stride, 0.0f);
    }
  });
}

// Eight lanes waste less than sixteen on a few channels.
template <class Body>
void visit_lanes(std::int64_t channels, const Body& body) {
  if (channels <= 8)
    body(std::integral_constant<int, 8>{});
  else
    body(std::integral_constant<int, 16>{});
}

}  // namespace

void max_pool_2x2_forward(const Context& ctx,
                          const Shape& in,
                          const Shape& out,
                          const float* x,
                          float* y,
                          std::uint8_t* idx) {
  visit_lanes(in.c, [&](auto lanes) { forward<lanes>(ctx, in, out, x, y, MaxForward{idx}); });
}

void max_pool_2x2_backward(const Context& ctx,
                           const Shape& in,
                           const Shape& out,
                           const float* dy,
                           const std::uint8_t* idx,
                           float* dx) {
  visit_lanes(in.c, [&](auto lanes) { backward<lanes>(ctx, in, out, dx, MaxBackward{dy, idx}); });
}

void avg_pool_2x2_forward(
    const Context& ctx, const Shape& in, const Shape& out, const float* x, float* y) {
  visit_lanes(in.c, [&](auto lanes) { forward<lanes>(ctx, in, out, x, y, AvgForward{}); });
}

void avg_pool_2x2_backward(
    const Context& ctx, const Shape& in, const Shape& out, const float* dy, float* dx) {
  visit_lanes(in.c, [&](auto lanes) { backward<lanes>(ctx, in, out, dx, AvgBackward{dy}); });
}

}  // namespace lamina::cpu
