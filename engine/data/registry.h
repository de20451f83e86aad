// The data sets that Lamina knows by name: what they hold, where copies are and how to know a good
// one. Adding a data set of four IDX files is one entry in registry.cpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lamina {

// A published file. Repackagers compress anew, so the content counts, not the gzip around it.
struct PublishedFile {
  std::string name;  // without ".gz"
  std::int64_t gzip_bytes = 0;
  std::string gzip_sha256;  // of the file that the mirrors serve
  std::int64_t content_bytes = 0;
  std::string content_sha256;
};

// The order of the four files, everywhere.
enum IdxRole { kTrainImages, kTrainLabels, kTestImages, kTestLabels };

struct DatasetInfo {
  std::string name;
  std::string title;  // "MNIST handwritten digits"
  std::int64_t train_count = 0, test_count = 0;
  std::vector<std::string> class_names;
  // Per channel, of pixels scaled to [0, 1]: the constants that everyone normalises with.
  std::vector<float> mean, stddev;

  bool generated = false;                // needs no file; what follows is empty then
  std::array<PublishedFile, 4> files{};  // by IdxRole
  std::vector<std::string> mirrors{};    // base addresses that end in '/'
  std::string torchvision_folder{};      // "MNIST" for <root>/MNIST/raw
  std::string system_folder{};           // where Debian's package puts it ...
  std::string system_package{};          // ... and its name
};

std::vector<DatasetInfo> known_datasets();
std::optional<DatasetInfo> find_dataset(const std::string& name);

// Refuses a name that is neither known nor a folder, with the names that are.
[[noreturn]] void fail_unknown_dataset(const std::string& name);

}  // namespace lamina
