// SPDX-License-Identifier: Apache-2.0
#include "engine/train/png_image.h"

#include <algorithm>
#include <string_view>

#include "engine/core/error.h"
#include "engine/data/png.h"

namespace lamina {
namespace {

constexpr std::int64_t kLargestSide = 4096;

// RFC 4648: three bytes make four digits, and "=" fills the last four.
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
  const Picture picture{.h = h, .w = w, .c = c, .pixels = {pixels.begin(), pixels.end()}};
  return "data:image/png;base64," + base64(encode_png(picture));
}

}  // namespace lamina
