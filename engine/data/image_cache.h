// The packed images of a folder in one file, so that they are decoded once.
//
//   byte  0  "LAMINAI1", the version of this layout and of how images are decoded and resized
//         8  u64 side, 16 u64 count, 24 u64 classes, 32 u64 skipped, 40 u64 bytes of the text
//        48  u64 where the images begin, a multiple of 4096; 56 u64 bytes of the file
//        64  32 bytes: SHA-256 of the list of files, with their sizes and times
//        96  i32 labels[count], then the text: names of the classes and what is wrong with the
//        files
//            that were skipped, each closed by a zero byte; zeros up to the images
//   images   u8 [count,side,side,3]: image i lies at i * side * side * 3 from there
// Numbers are little-endian. The fixed stride lets a reader take images one by one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/data/image_list.h"

namespace lamina {

struct PackedImages {
  std::int64_t side = 0;
  std::vector<std::int32_t> labels;
  std::vector<std::uint8_t> images;
  std::vector<std::string> class_names;
  std::vector<std::string> skipped;  // a sentence each
};

// The key of a list of files packed with this side: any change of it makes another.
std::string image_cache_key(const ImageList& list, std::int64_t side);

// Where the packed images of `list` lie: ${XDG_CACHE_HOME:-~/.cache}/lamina/images/NAME; one file
// for each folder, side and limit. Nullopt where there is no home.
std::optional<std::filesystem::path> image_cache_path(const ImageList& list,
                                                      std::int64_t side,
                                                      std::int64_t limit);

// Nullopt when there is no such file, or another key, or it is damaged.
std::optional<PackedImages> read_image_cache(const std::filesystem::path& path,
                                             const std::string& key);

// Whole or not at all. Throws a failure that names the file.
void write_image_cache(const std::filesystem::path& path,
                       const std::string& key,
                       const PackedImages& packed);

}  // namespace lamina
