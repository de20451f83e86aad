// Are the files of a data set the published ones?
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/dataset.h"
#include "engine/data/locate.h"
#include "engine/data/registry.h"

namespace lamina {

enum class Verdict {
  original,      // byte for byte the file that the mirrors serve
  same_content,  // what is in it is published; the gzip around it is another, or none
  unknown,       // nothing is published to compare with
};
std::string_view name_of(Verdict verdict);

struct FileReport {
  std::filesystem::path path;
  std::uint64_t bytes = 0;  // as stored
  std::string content_sha256;
  Verdict verdict = Verdict::unknown;
};

// Throws when the content is not the published one, with `mend` at the end of the sentence.
FileReport verify_file(const PublishedFile& file,
                       const std::filesystem::path& path,
                       const std::string& mend);

// All four files, in the order of IdxRole. Without `info`: files of one's own, checksums only.
std::array<FileReport, 4> verify_files(const IdxFiles& files,
                                       const DatasetInfo* info,
                                       const std::string& mend);

// How many samples have each label.
std::vector<std::int64_t> label_histogram(const Dataset& data);

}  // namespace lamina
