// Folders of photographs as data sets. Every image is decoded, made a square and kept in a cache
// file (image_cache.h), so only the first load takes long.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/data/image_cache.h"
#include "engine/data/image_list.h"

namespace lamina {

// Decodes with `threads` threads (0: as many as there are), each holding one file at a time; the
// result does not depend on how many. A bad file is a failure that names it; up to `skip_bad` are
// left out and told in PackedImages::skipped.
PackedImages pack_images(const ImageList& list,
                         std::int64_t side,
                         std::int64_t skip_bad = 0,
                         std::int64_t threads = 0);

// See dataset.h and image_list.h. What the cache could not do is no failure: it is in data.notes.
Dataset load_image_folder(const std::string& folder, Part part, const DataOpts& opts);

}  // namespace lamina
