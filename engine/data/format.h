// What a format of data sets knows: which files of a folder belong to one, and how to read a part
// of it. A new format is one file with a function like those below; the data sets that are kept in
// it name that function in registry.cpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/dataset.h"
#include "engine/data/sha256.h"

namespace lamina {

struct DataFile {
  Part part = Part::train;
  std::string name;            // the usual one
  std::filesystem::path path;  // empty: the folder has none
};

// In an order that is the format's own, and that of DatasetInfo::files.
struct DataFiles {
  std::filesystem::path folder;
  std::vector<DataFile> files;
};

class DataFormat {
 public:
  virtual ~DataFormat() = default;

  // The files of a folder, plain or ".gz".
  virtual DataFiles find(const std::filesystem::path& folder) const = 0;

  // Images, labels and their shape. Every label is below data.classes; the files of the part are
  // there. What is wrong is a failure that names the file and ends with `mend`.
  virtual void read(const DataFiles& files,
                    Part part,
                    const std::string& mend,
                    Dataset& data) const = 0;

  // Of a folder of one's own, of which nothing is known.
  virtual std::vector<std::string> class_names(const DataFiles& files) const = 0;

  // What is compared with PublishedFile::content_sha256.
  virtual ContentSum content_sum(const std::filesystem::path& path, const std::string& mend) const {
    return sha256_of_content(path, mend);
  }
};

using DataFormatPtr = std::shared_ptr<const DataFormat>;
DataFormatPtr idx_format();
DataFormatPtr cifar10_format();
DataFormatPtr cifar100_format();

// The format of which a folder has at least one file, and these files; null when there is none.
struct FoundFormat {
  DataFormatPtr format;
  DataFiles files;
};
FoundFormat find_format(const std::filesystem::path& folder);

// Whether this path can be looked at and is there.
bool is_there(const std::filesystem::path& path);

// NAME or NAME.gz in a folder, the plain one first; empty when there is neither.
std::filesystem::path plain_or_gzip(const std::filesystem::path& folder, const std::string& name);

}  // namespace lamina
