// Folders of photographs as data sets. Every image is decoded, made a square and kept in a cache
// file (image_cache.h), so only the first load takes long.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/data/image_cache.h"
#include "engine/data/image_list.h"

namespace lamina {

struct PackOpts {
  std::int64_t side = 256;
  std::int64_t skip_bad = 0;    // so many bad files are left out and told in PackedImages::skipped
  std::int64_t threads = 0;     // each holds one file at a time; 0: as many as there are
  std::int64_t most_bytes = 0;  // of all squares; 0: the memory of this machine
  std::function<void(std::int64_t done, std::int64_t total)> progress{};  // see DataOpts
};

// Decodes all images of a list. The result does not depend on the number of threads. A bad file too
// many is a failure that names it.
PackedImages pack_images(const ImageList& list, const PackOpts& opts);

// See dataset.h and image_list.h. What the cache could not do is no failure: it is in data.notes.
Dataset load_image_folder(const std::string& folder, Part part, const DataOpts& opts);

}  // namespace lamina
