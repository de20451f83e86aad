// Local response normalisation, a pixel at a time: its squares go into a row with zeros at both
// ends, from which the sum of every window is a few shifted loads. One sum that slides along would
// be cheaper and lose digits.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/lrn.h"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "engine/core/parallel.h"
#include "kernels/checks.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {
namespace {

LAMINA_INLINE Vec sqrt(const Vec& x) {
  Vec y;
  for (int i = 0; i < kLanes; ++i) y[i] = std::sqrt(x[i]);
  return y;
}

// scale^-beta, from 1/scale. Two square roots for the beta that networks use; the library's power,
// lane by lane and many times slower, for any other.
struct ThreeQuarters {
  LAMINA_INLINE Vec operator()(const Vec& inverse) const {
    const Vec root = sqrt(inverse);
    return root * sqrt(root);
  }
};
struct AnyPower {
  float beta;
  LAMINA_INLINE Vec operator()(const Vec& inverse) const {
    Vec y;
    for (int i = 0; i < kLanes; ++i) y[i] = std::pow(inverse[i], beta);
    return y;
  }
};

template <class Body>
void visit_power(double beta, const Body& body) {
  if (beta == 0.75)
    body(ThreeQuarters{});
  else
    body(AnyPower{static_cast<float>(beta)});
}

// Channels of a pixel with zeros around them: `before` and `after` of them belong to a window, and
// the rest of the last vector is zero too, so that it needs no case of its own.
class PaddedRow {
 public:
  static std::int64_t floats(const LrnOpts& o, const Shape& x) {
    return o.size + (x.c + kLanes - 1) / kLanes * kLanes;
  }
  PaddedRow(float* memory, const LrnOpts& o, const Shape& x, std::int64_t before)
      : memory_(memory), before_(before), size_(o.size) {
    std::fill(memory, memory + floats(o, x), 0.0f);
  }
  void set(std::int64_t c, const Vec& v) const { store(memory_ + before_ + c, v); }
  LAMINA_INLINE Vec window(std::int64_t c) const {
    Vec sum = load(memory_ + c);
    for (std::int64_t j = 1; j < size_; ++j) sum += load(memory_ + c + j);
    return sum;
  }

 private:
  float* memory_;
  std::int64_t before_, size_;
};

// The numbers of a call, and three rows for each thread.
struct Lrn {
  const LrnOpts& opts;
  const Shape& x;
  std::int64_t row_floats;
  float* rows;
  float share, k;

  Lrn(Context& ctx, const LrnOpts& o, const Shape& shape)
      : opts(o),
        x(shape),
        row_floats(PaddedRow::floats(o, shape)),
        rows(device_of(ctx).scratch<float>(
            static_cast<std::size_t>(3 * ctx.threads() * row_floats))),
        share(static_cast<float>(o.alpha / static_cast<double>(o.size))),
        k(static_cast<float>(o.k)) {}

  float* memory(int which) const { return rows + (3 * omp_get_thread_num() + which) * row_floats; }
  PaddedRow row(int which, std::int64_t before) const { return {memory(which), opts, x, before}; }
  template <class T>
  LAMINA_INLINE void square(const T* pixel, const PaddedRow& squares) const {
    for (std::int64_t c = 0; c < x.c; c += kLanes) {
      const Vec v = load_some(pixel + c, x.c - c);
      squares.set(c, v * v);
    }
  }
  LAMINA_INLINE Vec inverse_scale(const PaddedRow& squares, std::int64_t c) const {
    return 1.0f / (squares.window(c) * share + k);
  }
  std::int64_t pixels() const { return x.numel() / x.c; }
  std::int64_t grain() const { return std::max<std::int64_t>(1, 4096 / x.c); }
};

}  // namespace

void lrn_forward(Context& ctx, const LrnOpts& opts, const Tensor& x, const Tensor& y) {
  checks::lrn_forward(ctx, opts, x, y);
  const Lrn lrn(ctx, opts, x.shape);
  const std::int64_t channels = x.shape.c;
  visit_storage(x.dtype, [&]<class T>(T) {
    const T* const xs = x.as<T>();
    T* const ys = y.as<T>();
    visit_power(opts.beta, [&](auto power) {
      parallel_for(ctx, lrn.pixels(), lrn.grain(), [&](std::int64_t begin, std::int64_t end) {
        const PaddedRow squares = lrn.row(0, opts.size / 2);
        for (std::int64_t at = begin * channels; at < end * channels; at += channels) {
          lrn.square(xs + at, squares);
          for (std::int64_t c = 0; c < channels; c += kLanes) {
            const std::int64_t count = channels - c;
            const Vec v = load_some(xs + at + c, count);
            store_some(ys + at + c, v * power(lrn.inverse_scale(squares, c)), count);
          }
        }
      });
    });
  });
}

void lrn_backward(
    Context& ctx, const LrnOpts& opts, const Tensor& x, const Tensor& dy, const Tensor& dx) {
  checks::lrn_backward(ctx, opts, x, dy, dx);
  const Lrn lrn(ctx, opts, x.shape);
  const std::int64_t channels = x.shape.c;
  const auto slope =
      static_cast<float>(2.0 * opts.beta * opts.alpha / static_cast<double>(opts.size));
  visit_storage(x.dtype, [&]<class T>(T) {
    const T* const xs = x.as<T>();
    const T* const dys = dy.as<T>();
    T* const dxs = dx.as<T>();
    visit_power(opts.beta, [&](auto power) {
      parallel_for(ctx, lrn.pixels(), lrn.grain(), [&](std::int64_t begin, std::int64_t end) {
        const PaddedRow squares = lrn.row(0, opts.size / 2);
        // What each y passes on through its scale; the windows that an x is in lie the other way.
        const PaddedRow passed = lrn.row(1, (opts.size - 1) / 2);
        float* const direct = lrn.memory(2);
        for (std::int64_t at = begin * channels; at < end * channels; at += channels) {
          lrn.square(xs + at, squares);
          for (std::int64_t c = 0; c < channels; c += kLanes) {
            const std::int64_t count = channels - c;
            const Vec inverse = lrn.inverse_scale(squares, c);
            const Vec v = load_some(dys + at + c, count) * power(inverse);
            passed.set(c, v * load_some(xs + at + c, count) * inverse);
            store(direct + c, v);
          }
          for (std::int64_t c = 0; c < channels; c += kLanes) {
            const std::int64_t count = channels - c;
            const Vec v = load_some(xs + at + c, count);
            store_some(dxs + at + c, load(direct + c) - v * slope * passed.window(c), count);
          }
        }
      });
    });
  });
}

}  // namespace lamina::cpu
