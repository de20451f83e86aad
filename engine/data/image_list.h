// The images of a folder of one's own: DIR/train/CLASS/*.jpg, and DIR/test or DIR/val alike.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/data/dataset.h"

namespace lamina {

struct ImageEntry {
  std::filesystem::path path;
  std::int32_t label = 0;
  std::uint64_t bytes = 0;
  std::int64_t modified = 0;  // as the file system counts
};

struct ImageList {
  std::filesystem::path folder;  // of the part
  std::vector<std::string> class_names;
  std::vector<ImageEntry> images;
};

bool is_image_folder(const std::filesystem::path& folder);

// The classes are the folders in DIR/train, in the order of their names' bytes. The test part is
// DIR/test, or DIR/val where that has none of these folders. Images are the files that end in .jpg,
// .jpeg or .png in any case; others and hidden ones are passed over. The images are listed by
// turns, one of each class and then the next of each, so that the first few are of all classes.
// `limit` > 0 keeps that many.
ImageList list_images(const std::filesystem::path& folder, Part part, std::int64_t limit);

}  // namespace lamina
