// Fetching published files: mirrors in order, resumed where a former try broke off, checked against
// the published SHA-256, and whole or absent under the final name. For one thread at a time: the
// first use sets libcurl up.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/data/registry.h"

namespace lamina {

struct DownloadProgress {
  std::string file, mirror;
  std::int64_t done = 0, total = 0;  // bytes
};

struct DownloadOpts {
  std::vector<std::string> mirrors;  // base addresses (http, https, file), tried in order
  // Called a few times a second from the thread that downloads; may throw, which stops it.
  std::function<void(const DownloadProgress&)> progress;
  std::int64_t connect_timeout_s = 15;
  std::int64_t stall_timeout_s = 30;  // give a mirror up after so long without a byte
};

// The mirrors of a data set. In front of them, where one is named: `first` (--mirror) or else
// $LAMINA_MIRROR, a base address under which the files lie, or folders named like the data sets.
std::vector<std::string> mirrors_of(const DatasetInfo& info, const std::string& first = "");

// Fetches `file` into `folder`, which is created. A good file that is there already is kept; a
// broken-off "<name>.part" is continued. Throws when no mirror gave the published file.
std::filesystem::path download_file(const ServedFile& file,
                                    const std::filesystem::path& folder,
                                    const DownloadOpts& opts);

// Fetches what is missing of a data set into `folder`: its files, or its archive, which is unpacked
// and removed. `done` is told the name of each served file that is complete.
void download_dataset(const DatasetInfo& info,
                      const std::filesystem::path& folder,
                      const DownloadOpts& opts,
                      const std::function<void(const ServedFile&)>& done);

}  // namespace lamina
