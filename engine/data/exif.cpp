// SPDX-License-Identifier: Apache-2.0
#include "engine/data/exif.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace lamina {
namespace {

// The numbers of a TIFF in its own byte order; 0 beyond its end.
struct Tiff {
  std::span<const std::uint8_t> bytes;
  bool little = false;

  std::uint32_t number(std::size_t at, std::size_t count) const {
    if (at > bytes.size() || count > bytes.size() - at) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i)
      value = value << 8 | bytes[at + (little ? count - 1 - i : i)];
    return value;
  }
};

}  // namespace

int exif_orientation(std::span<const std::uint8_t> marker) {
  constexpr std::array<std::uint8_t, 6> kExif{'E', 'x', 'i', 'f', 0, 0};
  if (marker.size() < kExif.size() || !std::equal(kExif.begin(), kExif.end(), marker.begin()))
    return 1;
  Tiff tiff{marker.subspan(kExif.size())};
  const std::uint32_t order = tiff.number(0, 2);
  tiff.little = order == 0x4949;  // "II"; "MM" is big-endian
  if ((!tiff.little && order != 0x4d4d) || tiff.number(2, 2) != 42) return 1;
  const std::size_t folder = tiff.number(4, 4);
  const std::uint32_t entries = tiff.number(folder, 2);
  // An entry: tag (2 bytes), type (2), count (4), and here the value in the first 2 of 4.
  for (std::uint32_t i = 0; i < entries; ++i) {
    const std::size_t entry = folder + 2 + std::size_t{12} * i;
    constexpr std::uint32_t kOrientation = 0x0112, kShort = 3;
    if (tiff.number(entry, 2) != kOrientation) continue;
    const std::uint32_t value = tiff.number(entry + 8, 2);
    const bool good = tiff.number(entry + 2, 2) == kShort && value >= 1 && value <= 8;
    return good ? static_cast<int>(value) : 1;
  }
  return 1;
}

Picture upright(Picture picture, int orientation) {
  if (orientation <= 1 || orientation > 8) return picture;
  const bool turned = orientation >= 5;  // height and width change places
  // Which edges of the stored picture the seen rows and columns are counted from.
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Picture seen{turned ? picture.w : picture.h, turned ? picture.h : picture.w, picture.c, {}};
  seen.pixels.resize(picture.pixels.size());
  std::uint8_t* out = seen.pixels.data();
  for (std::int64_t y = 0; y < seen.h; ++y) {
    for (std::int64_t x = 0; x < seen.w; ++x) {
      std::int64_t row = turned ? x : y, column = turned ? y : x;
      if (from_bottom) row = picture.h - 1 - row;
      if (from_right) column = picture.w - 1 - column;
      const std::uint8_t* in = picture.pixels.data() + (row * picture.w + column) * picture.c;
      out = std::copy_n(in, picture.c, out);
    }
  }
  return seen;
}

}  // namespace lamina
