// SPDX-License-Identifier: Apache-2.0
#include "engine/data/image_cache.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>
#include <span>
#include <string_view>

#include "engine/core/error.h"
#include "engine/data/byte_reader.h"
#include "engine/data/locate.h"
#include "engine/data/sha256.h"
#include "engine/files/atomic_file.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "the file is written as memory is");

constexpr std::uint64_t kAlignment = 4096;
constexpr std::string_view kMagic = "LAMINAI1";

struct Header {
  std::array<char, 8> magic{};
  std::uint64_t side = 0, count = 0, classes = 0, skipped = 0, text_bytes = 0;
  std::uint64_t images_at = 0, file_bytes = 0;
  std::array<char, 32> key{};
};
static_assert(sizeof(Header) == 96);

Header header_of(const PackedImages& packed, const std::string& key, std::size_t text_bytes) {
  Header header;
  std::memcpy(header.magic.data(), kMagic.data(), kMagic.size());
  std::memcpy(header.key.data(), key.data(), header.key.size());
  header.side = static_cast<std::uint64_t>(packed.side);
  header.count = packed.labels.size();
  header.classes = packed.class_names.size();
  header.skipped = packed.skipped.size();
  header.text_bytes = text_bytes;
  const std::uint64_t head = sizeof header + 4 * header.count + text_bytes;
  header.images_at = (head + kAlignment - 1) / kAlignment * kAlignment;
  header.file_bytes = header.images_at + packed.images.size();
  return header;
}

// Whether the numbers agree with each other and with the file. No memory is taken on their word.
bool is_sound(const Header& header, const std::string& key, std::uint64_t file_bytes) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 31, kMostSide = 1 << 15;
  if (std::string_view(header.magic.data(), header.magic.size()) != kMagic ||
      std::string_view(header.key.data(), header.key.size()) != key)
    return false;
  if (header.side == 0 || header.side > kMostSide || header.count == 0 || header.count > kMost ||
      header.text_bytes > file_bytes || header.file_bytes != file_bytes)
    return false;
  const std::uint64_t head = sizeof header + 4 * header.count + header.text_bytes;
  return header.images_at == (head + kAlignment - 1) / kAlignment * kAlignment &&
         header.images_at < file_bytes &&
         (file_bytes - header.images_at) / (3 * header.side * header.side) == header.count &&
         (file_bytes - header.images_at) % (3 * header.side * header.side) == 0;
}

template <class T>
bool fill(ByteReader& reader, T* values, std::size_t count) {
  const std::size_t bytes = count * sizeof(T);
  return reader.read({reinterpret_cast<std::uint8_t*>(values), bytes}) == bytes;
}

template <class T>
std::span<const std::byte> bytes_of(const T* values, std::size_t count) {
  return std::as_bytes(std::span(values, count));
}

}  // namespace

std::string image_cache_key(const ImageList& list, std::int64_t side) {
  std::string text = fmt::format("{}\n{}\n", kMagic, side);
  for (const std::string& name : list.class_names) text += name + '\n';
  for (const ImageEntry& image : list.images)
    text += fmt::format("{}/{}\t{}\t{}\n",
                        image.label,
                        image.path.filename().string(),
                        image.bytes,
                        image.modified);
  const std::string hex =
      sha256_of({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  std::string key;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    key += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return key;
}

std::optional<fs::path> image_cache_path(const ImageList& list,
                                         std::int64_t side,
                                         std::int64_t limit) {
  const std::optional<fs::path> cache = cache_folder();
  if (!cache) return std::nullopt;
  std::error_code error;
  const fs::path folder = fs::canonical(list.folder, error);
  const std::string place = (error ? list.folder : folder).string();
  const std::string sum =
      sha256_of({reinterpret_cast<const std::uint8_t*>(place.data()), place.size()});
  return *cache / "images" /
         fmt::format("{}-{}-{}{}-{}.images",
                     folder.parent_path().filename().string(),
                     folder.filename().string(),
                     side,
                     limit > 0 ? fmt::format("-first{}", limit) : "",
                     sum.substr(0, 12));
}

std::optional<PackedImages> read_image_cache(const fs::path& path, const std::string& key) {
  if (!is_there(path)) return std::nullopt;
  ByteReader reader(path, kReplaceFile, ByteReader::Mode::as_stored);
  Header header;
  if (!fill(reader, &header, 1) || !is_sound(header, key, reader.file_bytes())) return std::nullopt;
  PackedImages packed;
  packed.side = static_cast<std::int64_t>(header.side);
  packed.labels.resize(header.count);
  std::string text(header.images_at - sizeof header - 4 * header.count, '\0');
  packed.images.resize(header.file_bytes - header.images_at);
  if (!fill(reader, packed.labels.data(), packed.labels.size()) ||
      !fill(reader, text.data(), text.size()) ||
      !fill(reader, packed.images.data(), packed.images.size()))
    return std::nullopt;
  std::string_view rest = std::string_view(text).substr(0, header.text_bytes);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    auto& names = packed.class_names.size() < header.classes ? packed.class_names : packed.skipped;
    names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  if (packed.class_names.size() != header.classes || packed.skipped.size() != header.skipped)
    return std::nullopt;
  for (std::int32_t label : packed.labels) {
    if (label < 0 || label >= std::ssize(packed.class_names)) return std::nullopt;
  }
  return packed;
}

void write_image_cache(const fs::path& path, const std::string& key, const PackedImages& packed) {
  std::string text;
  for (const std::string& name : packed.class_names) text += name + '\0';
  for (const std::string& what : packed.skipped) text += what + '\0';
  const Header header = header_of(packed, key, text.size());
  text.resize(header.images_at - sizeof header - 4 * header.count);
  make_folder(path.parent_path());
  const std::array<std::span<const std::byte>, 4> pieces{
      bytes_of(&header, 1),
      bytes_of(packed.labels.data(), packed.labels.size()),
      bytes_of(text.data(), text.size()),
      bytes_of(packed.images.data(), packed.images.size())};
  write_file_atomically(path, pieces);
}

}  // namespace lamina
