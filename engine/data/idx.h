// The IDX format of MNIST and its relatives: a big-endian header, then unsigned bytes.
//   images  magic 0x00000803, count, rows, columns (4 bytes each), then count*rows*columns bytes
//   labels  magic 0x00000801, count, then count bytes
// Plain or gzip. A file is read whole or not at all: every way in which it can disagree with itself
// is a failure in one sentence that names the file, what was found and the mend. No memory is taken
// on a header's word.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/data/byte_reader.h"

namespace lamina {

struct IdxImages {
  std::int64_t count = 0, h = 0, w = 0;
  std::vector<std::uint8_t> pixels;  // [count,h,w]
};

IdxImages read_idx_images(const std::filesystem::path& path, std::string mend = kReplaceFile);

// Every label is below `classes`; 0 takes any.
std::vector<std::int32_t> read_idx_labels(const std::filesystem::path& path,
                                          std::int64_t classes = 0,
                                          std::string mend = kReplaceFile);

}  // namespace lamina
