// SPDX-License-Identifier: Apache-2.0
#include "engine/data/image_cache.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/locate.h"
#include "engine/data/sha256.h"
#include "engine/files/posix_file.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "the file is written as memory is");

constexpr std::uint64_t kImagesAt = 4096;
constexpr std::string_view kMagic = "LAMINAI2";

struct Header {
  std::array<char, 8> magic{};
  std::uint64_t side = 0, count = 0, classes = 0, skipped = 0, text_bytes = 0;
  std::uint64_t file_bytes = 0, zero = 0;
  std::array<char, 32> key{};

  std::uint64_t image_bytes() const { return square_bytes(static_cast<std::int64_t>(side)); }
  std::uint64_t labels_at() const { return kImagesAt + count * image_bytes(); }
  std::uint64_t text_at() const { return labels_at() + 4 * count; }
};
static_assert(sizeof(Header) == 96);

// Whether the numbers agree with each other and with the file. No memory is taken on their word.
bool is_sound(const Header& header, const std::string& key, std::uint64_t file_bytes) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 31, kMostSide = 1 << 15;
  if (std::string_view(header.magic.data(), header.magic.size()) != kMagic ||
      std::string_view(header.key.data(), header.key.size()) != key)
    return false;
  return header.side > 0 && header.side <= kMostSide && header.count > 0 && header.count <= kMost &&
         header.text_bytes <= file_bytes && header.zero == 0 && header.file_bytes == file_bytes &&
         header.text_at() + header.text_bytes == file_bytes;
}

// False when the file ends before.
bool read_at(const Descriptor& file, std::uint64_t offset, std::span<std::byte> bytes) {
  return read_all_at(file.get(), offset, bytes) == std::ssize(bytes);
}

class ImageFile : public ImageSource {
 public:
  ImageFile(fs::path path, Descriptor file, std::size_t image_bytes)
      : path_(std::move(path)), file_(std::move(file)), image_bytes_(image_bytes) {}

  void read(std::int64_t index, std::span<std::uint8_t> to) const override {
    const std::uint64_t offset = kImagesAt + static_cast<std::uint64_t>(index) * image_bytes_;
    if (!read_at(file_, offset, std::as_writable_bytes(to)))
      fail(
          "'{}' cannot be read any more, or is shorter than it was; start again, which makes it "
          "anew where it is damaged.",
          path_.string());
  }

 private:
  fs::path path_;
  Descriptor file_;
  std::size_t image_bytes_;
};

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

std::optional<ImageCache> open_image_cache(const fs::path& path, const std::string& key) {
  if (!is_there(path)) return std::nullopt;
  std::uint64_t bytes = 0;
  Descriptor file = open_regular_file(path, bytes);
  Header header;
  if (!read_at(file, 0, std::as_writable_bytes(std::span(&header, 1))) ||
      !is_sound(header, key, bytes))
    return std::nullopt;
  ImageCache cache;
  PackedImages& packed = cache.packed;
  packed.side = static_cast<std::int64_t>(header.side);
  packed.labels.resize(header.count);
  std::string text(header.text_bytes, '\0');
  if (!read_at(file, header.labels_at(), std::as_writable_bytes(std::span(packed.labels))) ||
      !read_at(file, header.text_at(), std::as_writable_bytes(std::span(text))))
    return std::nullopt;
  std::string_view rest = text;
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
  cache.images = std::make_shared<ImageFile>(path, std::move(file), header.image_bytes());
  return cache;
}

ImageCacheWriter::ImageCacheWriter(const fs::path& path, std::int64_t side)
    : side_(side), file_((make_folder(path.parent_path()), path)) {}

std::uint64_t ImageCacheWriter::place(std::size_t slot) const {
  return kImagesAt + slot * square_bytes(side_);
}

void ImageCacheWriter::put(std::size_t slot, std::span<const std::uint8_t> image) {
  file_.write_at(place(slot), std::as_bytes(image));
}

void ImageCacheWriter::move(std::size_t from, std::size_t to) {
  std::vector<std::byte> image(square_bytes(side_));
  file_.read_at(place(from), image);
  file_.write_at(place(to), image);
}

void ImageCacheWriter::commit(const PackedImages& packed, const std::string& key) {
  std::string text;
  for (const std::string& name : packed.class_names) text += name + '\0';
  for (const std::string& what : packed.skipped) text += what + '\0';
  Header header;
  std::memcpy(header.magic.data(), kMagic.data(), kMagic.size());
  std::memcpy(header.key.data(), key.data(), header.key.size());
  header.side = static_cast<std::uint64_t>(side_);
  header.count = packed.labels.size();
  header.classes = packed.class_names.size();
  header.skipped = packed.skipped.size();
  header.text_bytes = text.size();
  header.file_bytes = header.text_at() + text.size();
  std::array<std::byte, kImagesAt> head{};
  std::memcpy(head.data(), &header, sizeof header);
  file_.write_at(0, head);
  file_.write_at(header.labels_at(), std::as_bytes(std::span(packed.labels)));
  file_.write_at(header.text_at(), std::as_bytes(std::span(text)));
  file_.commit(header.file_bytes);
}

void write_image_cache(const fs::path& path, const std::string& key, const PackedImages& packed) {
  ImageCacheWriter writer(path, packed.side);
  writer.put(0, packed.images);  // all of them, from the first slot on
  writer.commit(packed, key);
}

}  // namespace lamina
