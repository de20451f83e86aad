// Bilinear resize of NHWC rows, shared by upsample and prepare. A row of the output is made in two
// steps: the two input rows it lies between are blended, then the columns.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/storage.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {

// The two inputs an output lies between, in one direction.
struct Tap {
  std::int32_t lower, upper;
  float lower_weight, upper_weight;
};

inline Tap tap_of(std::int64_t out, std::int64_t in_size, std::int64_t out_size) {
  const double position = (static_cast<double>(out) + 0.5) * static_cast<double>(in_size) /
                              static_cast<double>(out_size) -
                          0.5;
  const double source = std::max(0.0, position);
  const auto lower = std::min(static_cast<std::int64_t>(source), in_size - 1);
  const auto upper = std::min(lower + 1, in_size - 1);
  const double fraction = source - static_cast<double>(lower);
  return {static_cast<std::int32_t>(lower),
          static_cast<std::int32_t>(upper),
          static_cast<float>(1.0 - fraction),
          static_cast<float>(fraction)};
}

inline void fill_taps(std::int64_t in_size, std::int64_t out_size, Tap* taps) {
  for (std::int64_t i = 0; i < out_size; ++i) taps[i] = tap_of(i, in_size, out_size);
}

// The columns of a resize, element by element of a row: tables in memory of the caller.
class Columns {
 public:
  static std::size_t table_floats(std::int64_t out_columns, std::int64_t channels) {
    return static_cast<std::size_t>(4 * padded(out_columns * channels));
  }

  Columns(std::int64_t in, std::int64_t out, std::int64_t channels, float* tables)
      : in_(in * channels), out_(out * channels), stride_(padded(out_)), tables_(tables) {
    for (std::int64_t q = 0; q < out; ++q) {
      const Tap tap = tap_of(q, in, out);
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t i = q * channels + c;
        indices(0)[i] = static_cast<std::int32_t>(tap.lower * channels + c);
        indices(1)[i] = static_cast<std::int32_t>(tap.upper * channels + c);
        weights(0)[i] = tap.lower_weight;
        weights(1)[i] = tap.upper_weight;
      }
    }
    for (std::int64_t i = out_; i < stride_; ++i)
      for (int side = 0; side < 2; ++side) {
        indices(side)[i] = 0;
        weights(side)[i] = 0.0f;
      }
  }

  // y[i] = the blend of two elements of `row`, which has room for 2*kLanes floats at least.
  template <class T>
  void forward(const float* row, T* y) const {
    if (in_ <= 2 * kLanes) {
      forward_short(row, y);
      return;
    }
    const std::int32_t *lower = indices(0), *upper = indices(1);
    const float *lower_weight = weights(0), *upper_weight = weights(1);
    for (std::int64_t i = 0; i < out_; ++i)
      y[i] = stored<T>(lower_weight[i] * row[lower[i]] + upper_weight[i] * row[upper[i]]);
  }

  // row[j] = the sum over the outputs that use element j. `row` is overwritten.
  template <class T>
  void backward(const T* dy, float* row) const {
    std::fill(row, row + in_, 0.0f);
    for (std::int64_t i = 0; i < out_; ++i) {
      const float gradient = widened(dy[i]);
      row[indices(0)[i]] += weights(0)[i] * gradient;
      row[indices(1)[i]] += weights(1)[i] * gradient;
    }
  }

 private:
  static std::int64_t padded(std::int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }
  std::int32_t* indices(int side) const {
    return reinterpret_cast<std::int32_t*>(tables_ + side * stride_);
  }
  float* weights(int side) const { return tables_ + (2 + side) * stride_; }

  // A row of up to 32 floats fits into two registers, where elements are picked by a permutation.
  template <class T>
  void forward_short(const float* row, T* y) const {
    const Vec low = load(row), high = load(row + kLanes);
    for (std::int64_t i = 0; i < out_; i += kLanes) {
      IntVec index[2];
      std::memcpy(&index[0], indices(0) + i, sizeof(IntVec));
      std::memcpy(&index[1], indices(1) + i, sizeof(IntVec));
      const Vec blend = load(weights(0) + i) * pick(low, high, index[0]) +
                        load(weights(1) + i) * pick(low, high, index[1]);
      if (i + kLanes <= out_)
        store(y + i, blend);
      else
        store_part(y + i, blend, out_ - i);
    }
  }

  std::int64_t in_, out_, stride_;
  float* tables_;
};

}  // namespace lamina::cpu
