// Folders of photographs as data sets. Every image is decoded and made a square: once, and kept in
// a cache file (image_cache.h) from which it is loaded or read when it is wanted; or whenever it
// is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/data/dataset.h"

namespace lamina {

// See dataset.h and image_list.h; DataOpts::store says where the images stay. A cache that cannot
// be written is a failure only where they are read from it: else it is in data.notes.
Dataset load_image_folder(const std::string& folder, Part part, const DataOpts& opts);

}  // namespace lamina
