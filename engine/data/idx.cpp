// SPDX-License-Identifier: Apache-2.0
#include "engine/data/idx.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "engine/core/error.h"

namespace lamina {
namespace {

constexpr std::uint32_t kImageMagic = 0x00000803;
constexpr std::uint32_t kLabelMagic = 0x00000801;

std::uint32_t big_endian(const std::uint8_t* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | std::uint32_t{bytes[3]};
}

// What a person should know about a wrong magic number, after the number itself.
std::string_view explain(std::uint32_t magic) {
  if (magic == kImageMagic) return ", an image file";
  if (magic == kLabelMagic) return ", a label file";
  if (magic == 0x03080000 || magic == 0x01080000) return ", the bytes in little-endian order";
  const std::uint32_t type = magic >> 8;
  if (type == 0x09 || (type >= 0x0B && type <= 0x0E))
    return ", IDX of another element type than unsigned byte";
  if (type == 0x08) return ", IDX of another number of dimensions";
  const char first = static_cast<char>(magic >> 24);
  if (first == '<') return ", perhaps a web page that was saved in its place";
  return ", not IDX";
}

// The header's numbers behind the magic.
template <std::size_t kDims>
std::array<std::uint32_t, kDims> read_header(ByteReader& reader,
                                             std::uint32_t expected,
                                             std::string_view what) {
  const std::string path = reader.path().string();
  std::array<std::uint8_t, 4 + 4 * kDims> bytes{};
  const std::size_t count = reader.read(bytes);
  if (count == 0) fail("'{}' holds no bytes; {}.", path, reader.mend());
  if (count >= 4) {
    const std::uint32_t magic = big_endian(bytes.data());
    if (magic != expected)
      fail("'{}' begins with 0x{:08x}{}, where {} begins with 0x{:08x}; {}.",
           path,
           magic,
           explain(magic),
           what,
           expected,
           reader.mend());
  }
  if (count < bytes.size())
    fail("'{}' is cut short: {} bytes, where the header alone has {}; {}.",
         path,
         count,
         bytes.size(),
         reader.mend());
  std::array<std::uint32_t, kDims> dims{};
  for (std::size_t i = 0; i < kDims; ++i) dims[i] = big_endian(bytes.data() + 4 + 4 * i);
  return dims;
}

// Exactly `length` bytes and then the end of the file. The memory grows with the bytes that are
// really there, so that a header that lies costs nothing.
std::vector<std::uint8_t> read_body(ByteReader& reader,
                                    std::uint64_t header,
                                    std::uint64_t length,
                                    std::string_view promise) {
  const std::string path = reader.path().string();
  if (length > reader.most_bytes() || header + length > reader.most_bytes())
    fail("'{}' is cut short: its header promises {}, which its {} bytes{} cannot hold; {}.",
         path,
         promise,
         reader.file_bytes(),
         reader.is_gzip() ? " of gzip" : "",
         reader.mend());
  constexpr std::uint64_t kFirstBlock = std::uint64_t{1} << 24;
  std::vector<std::uint8_t> bytes;
  while (bytes.size() < length) {
    const std::size_t before = bytes.size();
    bytes.resize(std::min<std::uint64_t>(length, std::max<std::uint64_t>(kFirstBlock, 2 * before)));
    const std::size_t count = reader.read(std::span(bytes).subspan(before));
    if (before + count < bytes.size())
      fail("'{}' is cut short: its header promises {}, but {} of {} bytes are there; {}.",
           path,
           promise,
           before + count,
           length,
           reader.mend());
  }
  std::uint8_t extra;
  if (reader.read({&extra, 1}) != 0)
    fail("'{}' is too long: its header promises {}, and more bytes follow them; {}.",
         path,
         promise,
         reader.mend());
  return bytes;
}

}  // namespace

IdxImages read_idx_images(const std::filesystem::path& path, std::string mend) {
  ByteReader reader(path, std::move(mend));
  const auto [count, h, w] = read_header<3>(reader, kImageMagic, "an image file");
  if (count == 0)
    fail("'{}' is an empty data set: its header says 0 images; {}.", path.string(), reader.mend());
  if (h == 0 || w == 0)
    fail("'{}' holds images of {} x {} pixels; {}.", path.string(), h, w, reader.mend());
  const std::uint64_t pixels = std::uint64_t{h} * w;
  const std::string promise = fmt::format("{} images of {} x {} pixels", count, h, w);
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  IdxImages images{count, h, w, {}};
  images.pixels = read_body(reader, 16, pixels > most / count ? most : pixels * count, promise);
  return images;
}

std::vector<std::int32_t> read_idx_labels(const std::filesystem::path& path,
                                          std::int64_t classes,
                                          std::string mend) {
  ByteReader reader(path, std::move(mend));
  const auto [count] = read_header<1>(reader, kLabelMagic, "a label file");
  if (count == 0)
    fail("'{}' is an empty data set: its header says 0 labels; {}.", path.string(), reader.mend());
  const std::vector<std::uint8_t> bytes =
      read_body(reader, 8, count, fmt::format("{} labels", count));
  for (std::size_t i = 0; classes > 0 && i < bytes.size(); ++i) {
    if (bytes[i] >= classes)
      fail("'{}' has label {} at sample {}, where the {} classes are 0 to {}; {}.",
           path.string(),
           bytes[i],
           i,
           classes,
           classes - 1,
           reader.mend());
  }
  return {bytes.begin(), bytes.end()};
}

}  // namespace lamina
