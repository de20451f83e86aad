// SPDX-License-Identifier: Apache-2.0
#include "engine/data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "engine/core/error.h"

namespace lamina {
namespace {

constexpr int kFractionBits = 15;  // of a weight; the weights of a pixel add up to one
constexpr std::int32_t kOne = 1 << kFractionBits;

// One output pixel along an axis: weights[begin..] of the inputs from `first` on.
struct Taps {
  std::int64_t first = 0;
  std::vector<std::int32_t> weights;
};

// Of the outputs [from, from + count) of an axis of `in` pixels that becomes one of `out`.
std::vector<Taps> taps_of_axis(std::int64_t in,
                               std::int64_t out,
                               std::int64_t from,
                               std::int64_t count) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double reach = std::max(scale, 1.0);
  std::vector<Taps> taps(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const double middle = (static_cast<double>(from + i) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(0, std::llround(std::floor(middle - reach + 0.5)));
    const auto last = std::min<std::int64_t>(in, std::llround(std::floor(middle + reach + 0.5)));
    std::vector<double> tent;
    double sum = 0;
    for (std::int64_t at = first; at < last; ++at) {
      const double distance = std::abs(static_cast<double>(at) + 0.5 - middle) / reach;
      tent.push_back(std::max(0.0, 1.0 - distance));
      sum += tent.back();
    }
    Taps& tap = taps[static_cast<std::size_t>(i)];
    tap.first = first;
    std::int32_t rest = kOne;
    for (double weight : tent) {
      tap.weights.push_back(static_cast<std::int32_t>(std::lround(weight / sum * kOne)));
      rest -= tap.weights.back();
    }
    // What rounding has lost or won goes to the heaviest, so that white stays white.
    *std::max_element(tap.weights.begin(), tap.weights.end()) += rest;
  }
  return taps;
}

std::uint8_t rounded(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp((sum + kOne / 2) >> kFractionBits, 0, 255));
}

// One row across: the pixels that `columns` make of it. kChannels is the number of channels.
template <std::int64_t kChannels>
void shrink_row(const std::vector<Taps>& columns, const std::uint8_t* row, std::uint8_t* out) {
  for (const Taps& taps : columns) {
    const std::uint8_t* in = row + taps.first * kChannels;
    std::int32_t sums[kChannels] = {};
    for (std::int32_t weight : taps.weights) {
      for (std::int64_t c = 0; c < kChannels; ++c) sums[c] += weight * *in++;
    }
    for (std::int32_t sum : sums) *out++ = rounded(sum);
  }
}

}  // namespace

void resize_to_square(const Picture& picture, std::int64_t side, std::span<std::uint8_t> out) {
  const std::int64_t h = picture.h, w = picture.w, c = picture.c;
  LAMINA_CHECK(
      h > 0 && w > 0 && (c == 1 || c == 3) && side > 0 && std::ssize(out) == side * side * c,
      "a picture of {}x{}x{} cannot become {} bytes of {}x{}.",
      h,
      w,
      c,
      out.size(),
      side,
      side);
  const std::int64_t new_h = h <= w ? side : side * h / w, new_w = w <= h ? side : side * w / h;
  // The middle, rounded to even as Python rounds.
  const auto middle = [&](std::int64_t length) {
    return std::llrint(static_cast<double>(length - side) / 2);
  };
  const std::vector<Taps> columns = taps_of_axis(w, new_w, middle(new_w), side);
  const std::vector<Taps> rows = taps_of_axis(h, new_h, middle(new_h), side);
  const std::int64_t top = rows.front().first;
  const std::int64_t bottom = rows.back().first + std::ssize(rows.back().weights);

  // First across, for the rows that are needed; then down.
  std::vector<std::uint8_t> narrow(static_cast<std::size_t>((bottom - top) * side * c));
  std::uint8_t* to = narrow.data();
  for (std::int64_t y = top; y < bottom; ++y, to += side * c) {
    const std::uint8_t* row = picture.pixels.data() + y * w * c;
    c == 1 ? shrink_row<1>(columns, row, to) : shrink_row<3>(columns, row, to);
  }
  to = out.data();
  std::vector<std::int32_t> sums(static_cast<std::size_t>(side * c));
  for (const Taps& taps : rows) {
    std::fill(sums.begin(), sums.end(), 0);
    const std::uint8_t* from = narrow.data() + (taps.first - top) * side * c;
    for (std::int32_t weight : taps.weights) {
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += weight * from[i];
      from += sums.size();
    }
    to = std::transform(sums.begin(), sums.end(), to, rounded);
  }
}

}  // namespace lamina
