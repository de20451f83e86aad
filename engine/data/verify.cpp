// SPDX-License-Identifier: Apache-2.0
#include "engine/data/verify.h"

#include "engine/core/error.h"
#include "engine/data/sha256.h"

namespace lamina {

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::original:
      return "the published file";
    case Verdict::same_content:
      return "the published content";
    case Verdict::unknown:
      return "not a published file";
  }
  return "?";
}

FileReport verify_file(const PublishedFile& file,
                       const std::filesystem::path& path,
                       const std::string& mend) {
  const ContentSum content = sha256_of_content(path, mend);
  if (content.sha256 != file.content_sha256)
    fail(
        "'{}' is not the published file: its content has SHA-256 {} over {} bytes, where {} over "
        "{} "
        "is published; {}.",
        path.string(),
        content.sha256,
        content.bytes,
        file.content_sha256,
        file.content_bytes,
        mend);
  const bool original = sha256_of_file(path) == file.gzip_sha256;
  return {path,
          std::filesystem::file_size(path),
          content.sha256,
          original ? Verdict::original : Verdict::same_content};
}

std::array<FileReport, 4> verify_files(const IdxFiles& files,
                                       const DatasetInfo* info,
                                       const std::string& mend) {
  std::array<FileReport, 4> reports;
  for (IdxRole role : {kTrainImages, kTrainLabels, kTestImages, kTestLabels}) {
    const std::filesystem::path& path = files.paths[role];
    if (info != nullptr) {
      reports[role] = verify_file(info->files[role], path, mend);
    } else if (!path.empty()) {
      reports[role] = {path,
                       std::filesystem::file_size(path),
                       sha256_of_content(path, mend).sha256,
                       Verdict::unknown};
    }
  }
  return reports;
}

std::vector<std::int64_t> label_histogram(const Dataset& data) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(data.classes));
  for (std::int32_t label : data.labels) ++counts[static_cast<std::size_t>(label)];
  return counts;
}

}  // namespace lamina
