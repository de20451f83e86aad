// SPDX-License-Identifier: Apache-2.0
#include "engine/data/format.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace lamina {

FoundFormat find_format(const std::filesystem::path& folder) {
  for (DataFormatPtr& format : std::vector{idx_format(), cifar10_format(), cifar100_format()}) {
    DataFiles files = format->find(folder);
    if (std::any_of(files.files.begin(), files.files.end(), [](const DataFile& file) {
          return !file.path.empty();
        }))
      return {std::move(format), std::move(files)};
  }
  return {};
}

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;  // what cannot be looked at is as good as absent
  return std::filesystem::exists(path, ignored);
}

std::filesystem::path plain_or_gzip(const std::filesystem::path& folder, const std::string& name) {
  for (const char* suffix : {"", ".gz"}) {
    if (is_there(folder / (name + suffix))) return folder / (name + suffix);
  }
  return {};
}

}  // namespace lamina
