// Are the files of a data set the published ones?
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/format.h"
#include "engine/data/registry.h"

namespace lamina {

enum class Verdict {
  original,      // byte for byte the file that the mirrors serve
  same_content,  // what is in it is published; what is around it is another, or none
  unknown,       // nothing is published to compare with
};
std::string_view name_of(Verdict verdict);

struct FileReport {
  std::filesystem::path path;
  std::uint64_t bytes = 0;  // as stored
  std::string content_sha256;
  Verdict verdict = Verdict::unknown;
};

// Throws when the content, as its format sees it, is not the published one, with `mend` at the end
// of the sentence.
FileReport verify_file(const DataFormat& format,
                       const PublishedFile& file,
                       const std::filesystem::path& path,
                       const std::string& mend);

// All files, in their order. Without `info`: files of one's own, checksums only.
std::vector<FileReport> verify_files(const DataFormat& format,
                                     const DataFiles& files,
                                     const DatasetInfo* info,
                                     const std::string& mend);

// How many samples have each label.
std::vector<std::int64_t> label_histogram(const Dataset& data);

}  // namespace lamina
