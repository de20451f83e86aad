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

// The weighted sum of samples that lie `stride` apart.
std::uint8_t weigh(const Taps& taps, const std::uint8_t* in, std::int64_t stride) {
  std::int32_t sum = kOne / 2;
  for (std::int32_t weight : taps.weights) {
    sum += weight * *in;
    in += stride;
  }
  return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

}  // namespace

void resize_to_square(const Picture& picture, std::int64_t side, std::span<std::uint8_t> out) {
  const std::int64_t h = picture.h, w = picture.w, c = picture.c;
  LAMINA_CHECK(h > 0 && w > 0 && side > 0 && std::ssize(out) == side * side * c,
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
  for (std::int64_t y = top; y < bottom; ++y) {
    const std::uint8_t* row = picture.pixels.data() + y * w * c;
    for (const Taps& taps : columns) {
      for (std::int64_t i = 0; i < c; ++i) *to++ = weigh(taps, row + taps.first * c + i, c);
    }
  }
  to = out.data();
  for (const Taps& taps : rows) {
    const std::uint8_t* from = narrow.data() + (taps.first - top) * side * c;
    for (std::int64_t x = 0; x < side * c; ++x) *to++ = weigh(taps, from + x, side * c);
  }
}

}  // namespace lamina
