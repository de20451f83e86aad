// SPDX-License-Identifier: Apache-2.0
#include "engine/train/png_image.h"

#include <string_view>

#include <zlib.h>

#include "engine/core/error.h"

namespace lamina {
namespace {

constexpr std::int64_t kLargestSide = 4096;

std::string big_endian(std::uint32_t value) {
  std::string bytes(4, '\0');
  for (int i = 0; i < 4; ++i) bytes[i] = static_cast<char>(value >> (24 - 8 * i));
  return bytes;
}

const Bytef* bytes_of(std::string_view text) { return reinterpret_cast<const Bytef*>(text.data()); }

std::string chunk(std::string_view type, std::string_view body) {
  std::string checked(type);
  checked += body;
  const uLong crc = crc32(0, bytes_of(checked), static_cast<uInt>(checked.size()));
  return big_endian(static_cast<std::uint32_t>(body.size())) + checked +
         big_endian(static_cast<std::uint32_t>(crc));
}

std::string deflated(std::string_view raw) {
  uLongf size = compressBound(static_cast<uLong>(raw.size()));
  std::string packed(size, '\0');
  const int code = compress2(reinterpret_cast<Bytef*>(packed.data()),
                             &size,
                             bytes_of(raw),
                             static_cast<uLong>(raw.size()),
                             Z_BEST_COMPRESSION);
  if (code != Z_OK) {
    throw Error(ErrorKind::failure,
                "zlib could not pack an image of the report; free some memory and try again.",
                {"compress2", __FILE__, __LINE__, "zlib", code, zError(code)});
  }
  packed.resize(size);
  return packed;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    const std::size_t digits = std::min<std::size_t>(3, bytes.size() - i) + 1;
    for (std::size_t j = 0; j < 4; ++j)
      text += j < digits ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

}  // namespace

std::string png_data_uri(std::int64_t h,
                         std::int64_t w,
                         std::int64_t c,
                         std::span<const std::uint8_t> pixels) {
  LAMINA_CHECK(h > 0 && w > 0 && h <= kLargestSide && w <= kLargestSide && (c == 1 || c == 3) &&
                   pixels.size() == static_cast<std::size_t>(h * w * c),
               "an image of the report has {} bytes for {} x {} x {}; it needs one byte for each "
               "value, sides up to {} and 1 or 3 channels.",
               pixels.size(),
               h,
               w,
               c,
               kLargestSide);
  // Rows from top to bottom, each after the number of its filter: 0, none.
  std::string raw;
  const auto row_bytes = static_cast<std::size_t>(w * c);
  for (std::size_t at = 0; at < pixels.size(); at += row_bytes) {
    raw += '\0';
    raw.append(reinterpret_cast<const char*>(pixels.data()) + at, row_bytes);
  }
  const char colour = c == 1 ? 0 : 2;
  const std::string header = big_endian(static_cast<std::uint32_t>(w)) +
                             big_endian(static_cast<std::uint32_t>(h)) +
                             std::string{8, colour, 0, 0, 0};  // 8 bits, no interlace
  return "data:image/png;base64," + base64("\x89PNG\r\n\x1a\n" + chunk("IHDR", header) +
                                           chunk("IDAT", deflated(raw)) + chunk("IEND", ""));
}

}  // namespace lamina
