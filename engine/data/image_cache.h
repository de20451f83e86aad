// The packed images of a folder in one file, so that they are decoded once.
//
//   byte  0  "LAMINAI2", the version of this layout and of how images are decoded and resized
//         8  u64 side, 16 u64 count, 24 u64 classes, 32 u64 skipped, 40 u64 bytes of the text
//        48  u64 bytes of the file; 56 zero
//        64  32 bytes: SHA-256 of the list of files, with their sizes and times; zeros up to
//      4096  u8 [count,side,side,3]: image i lies at i * side * side * 3 from there
//   then     i32 labels[count], then the text: names of the classes and what is wrong with the
//   files
//            that were skipped, each closed by a zero byte
// Numbers are little-endian. The images lie in front and at a fixed stride, so that they can be
// written as they come and read one by one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/data/image_list.h"
#include "engine/files/atomic_file.h"

namespace lamina {

// Of one image: [side,side,3].
constexpr std::uint64_t square_bytes(std::int64_t side) {
  return 3 * static_cast<std::uint64_t>(side) * static_cast<std::uint64_t>(side);
}

struct PackedImages {
  std::int64_t side = 0;
  std::vector<std::int32_t> labels;
  std::vector<std::uint8_t> images;  // empty where they are in a file
  std::vector<std::string> class_names;
  std::vector<std::string> skipped;  // a sentence each
};

// What images are packed into, by several threads at a time.
class ImageSlots {
 public:
  virtual ~ImageSlots() = default;
  virtual void put(std::size_t slot, std::span<const std::uint8_t> image) = 0;
  virtual void move(std::size_t from, std::size_t to) = 0;
};

// The key of a list of files packed with this side: any change of it makes another.
std::string image_cache_key(const ImageList& list, std::int64_t side);

// Where the packed images of `list` lie: ${XDG_CACHE_HOME:-~/.cache}/lamina/images/NAME; one file
// for each folder, side and limit. Nullopt where there is no home.
std::optional<std::filesystem::path> image_cache_path(const ImageList& list,
                                                      std::int64_t side,
                                                      std::int64_t limit);

struct ImageCache {
  PackedImages packed;  // without the images
  std::shared_ptr<const ImageSource> images;
};

// Nullopt when there is no such file, or another key, or it is damaged.
std::optional<ImageCache> open_image_cache(const std::filesystem::path& path,
                                           const std::string& key);

// Writes such a file, whole or not at all. Throws a failure that names the file.
class ImageCacheWriter : public ImageSlots {
 public:
  ImageCacheWriter(const std::filesystem::path& path, std::int64_t side);
  void put(std::size_t slot, std::span<const std::uint8_t> image) override;
  void move(std::size_t from, std::size_t to) override;
  void commit(const PackedImages& packed, const std::string& key);

 private:
  std::uint64_t place(std::size_t slot) const;

  std::int64_t side_;
  AtomicFile file_;
};

void write_image_cache(const std::filesystem::path& path,
                       const std::string& key,
                       const PackedImages& packed);

}  // namespace lamina
