// The data sets that Lamina knows by name: what they hold, where copies are and how to know a good
// one. Adding a data set of a known format (format.h) is one entry in registry.cpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/data/format.h"

namespace lamina {

// A file as the mirrors serve it.
struct ServedFile {
  std::string name;  // below the mirror's address
  std::int64_t bytes = 0;
  std::string sha256;
};

// A published file. Repackagers compress anew, so the content counts, not what is around it.
struct PublishedFile {
  std::string name;  // the usual one of its format
  std::int64_t content_bytes = 0;
  std::string content_sha256;
  ServedFile served{};  // empty for a file out of DatasetInfo::archive
};

struct DatasetInfo {
  std::string name;
  std::string title;  // "MNIST handwritten digits"
  std::int64_t train_count = 0, test_count = 0;
  std::vector<std::string> class_names;
  // Per channel, of pixels scaled to [0, 1]: the constants that everyone normalises with.
  std::vector<float> mean, stddev;

  // Draws a data set that needs no file; what follows is empty then.
  Dataset (*draw)(const DatasetInfo& info, Part part, const DataOpts& opts) = nullptr;

  DataFormatPtr format{};
  std::vector<PublishedFile> files{};  // in the order of the format
  ServedFile archive{};                // a tar file with all of them; empty where there is none
  std::string archive_folder{};        // their folder in it
  std::vector<std::string> mirrors{};  // base addresses that end in '/'
  std::vector<std::string> folders{};  // names of its folder that are usual beside its own name
  std::string system_folder{};         // where Debian's package puts it ...
  std::string system_package{};        // ... and its name
};

std::vector<DatasetInfo> known_datasets();
std::optional<DatasetInfo> find_dataset(const std::string& name);

// Refuses a name that is neither known nor a folder, with the names that are.
[[noreturn]] void fail_unknown_dataset(const std::string& name);

}  // namespace lamina
