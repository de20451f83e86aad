// SPDX-License-Identifier: Apache-2.0
#include "engine/data/image_file.h"

#include <array>
#include <cstddef>

#include "engine/core/error.h"

namespace lamina {
namespace {

bool begins_with(std::span<const std::uint8_t> bytes, std::span<const std::uint8_t> magic) {
  if (bytes.size() < magic.size()) return false;
  for (std::size_t i = 0; i < magic.size(); ++i) {
    if (bytes[i] != magic[i]) return false;
  }
  return true;
}

}  // namespace

void fail_image(const std::string& file, const std::string& reason) {
  fail("'{}' is no usable image: {}; replace or remove it, or allow bad files with --skip-bad N.",
       file,
       reason);
}

Picture decode_image(const std::string& file,
                     std::span<const std::uint8_t> bytes,
                     std::int64_t least_side) {
  constexpr std::array<std::uint8_t, 3> kJpeg{0xff, 0xd8, 0xff};
  constexpr std::array<std::uint8_t, 8> kPng{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  if (begins_with(bytes, kJpeg)) return decode_jpeg(file, bytes, least_side);
  if (begins_with(bytes, kPng)) return decode_png(file, bytes);
  fail_image(file, bytes.empty() ? "it holds no bytes" : "it is neither JPEG nor PNG");
}

}  // namespace lamina
