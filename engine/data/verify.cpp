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

FileReport verify_file(const DataFormat& format,
                       const PublishedFile& file,
                       const std::filesystem::path& path,
                       const std::string& mend) {
  const ContentSum content = format.content_sum(path, mend);
  if (content.sha256 != file.content_sha256)
    fail(
        "'{}' is not the published file: its content has SHA-256 {} over {} bytes, where {} over "
        "{} is published; {}.",
        path.string(),
        content.sha256,
        content.bytes,
        file.content_sha256,
        file.content_bytes,
        mend);
  const std::string sum = sha256_of_file(path);
  const bool original =
      sum == (file.served.name.empty() ? file.content_sha256 : file.served.sha256);
  return {path,
          std::filesystem::file_size(path),
          content.sha256,
          original ? Verdict::original : Verdict::same_content};
}

std::vector<FileReport> verify_files(const DataFormat& format,
                                     const DataFiles& files,
                                     const DatasetInfo* info,
                                     const std::string& mend) {
  std::vector<FileReport> reports;
  for (std::size_t i = 0; i < files.files.size(); ++i) {
    const std::filesystem::path& path = files.files[i].path;
    if (info != nullptr) {
      reports.push_back(verify_file(format, info->files[i], path, mend));
    } else if (!path.empty()) {
      reports.push_back({path,
                         std::filesystem::file_size(path),
                         format.content_sum(path, mend).sha256,
                         Verdict::unknown});
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
