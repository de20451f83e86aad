// Decoding a list of photographs into squares, by several threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include "engine/data/image_cache.h"
#include "engine/data/image_list.h"

namespace lamina {

struct PackOpts {
  std::int64_t side = 256;
  std::int64_t skip_bad = 0;    // so many bad files are left out and told in PackedImages::skipped
  std::int64_t threads = 0;     // each holds one file at a time; 0: as many as there are
  std::int64_t most_bytes = 0;  // of all squares in memory; 0: the memory of this machine
  std::function<void(std::int64_t done, std::int64_t total)> progress{};  // see DataOpts
};

// Decodes all images of a list, into `slots` where they are given. The result does not depend on
// the number of threads. A bad file too many is a failure that names it.
PackedImages pack_images(const ImageList& list, const PackOpts& opts, ImageSlots* slots = nullptr);

// One of them: [side,side,3].
void decode_square(const std::filesystem::path& path,
                   std::int64_t side,
                   std::span<std::uint8_t> square);

std::uint64_t memory_of_machine();

}  // namespace lamina
