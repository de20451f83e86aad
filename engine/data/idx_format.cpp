// The four IDX files of MNIST and its relatives. Names are those of the originals, with '-' or '.'
// before "idx"; "test-" may stand for "t10k-".
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/format.h"
#include "engine/data/idx.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

enum Role { kTrainImages, kTrainLabels, kTestImages, kTestLabels };

std::vector<std::string> spellings(const std::string& usual) {
  std::vector<std::string> names = {usual};
  if (usual.starts_with("t10k-")) names.push_back("test-" + usual.substr(5));
  for (std::size_t i = 0, count = names.size(); i < count; ++i) {
    std::string dotted = names[i];
    dotted.replace(dotted.rfind("-idx"), 1, ".");
    names.push_back(dotted);
  }
  return names;
}

class IdxFormat : public DataFormat {
 public:
  DataFiles find(const fs::path& folder) const override {
    DataFiles found{folder,
                    {{Part::train, "train-images-idx3-ubyte", {}},
                     {Part::train, "train-labels-idx1-ubyte", {}},
                     {Part::test, "t10k-images-idx3-ubyte", {}},
                     {Part::test, "t10k-labels-idx1-ubyte", {}}}};
    for (DataFile& file : found.files) {
      for (const std::string& name : spellings(file.name)) {
        if (file.path.empty()) file.path = plain_or_gzip(folder, name);
      }
    }
    return found;
  }

  void read(const DataFiles& files,
            Part part,
            const std::string& mend,
            Dataset& data) const override {
    const fs::path& image_path = files.files[part == Part::train ? kTrainImages : kTestImages].path;
    const fs::path& label_path = files.files[part == Part::train ? kTrainLabels : kTestLabels].path;
    data.labels = read_idx_labels(label_path, data.classes, mend);
    IdxImages images = read_idx_images(image_path, mend);
    if (images.count != std::ssize(data.labels))
      fail(
          "'{}' holds {} images, but '{}' {} labels; they do not belong together: replace the one "
          "that is wrong.",
          image_path.string(),
          images.count,
          label_path.string(),
          data.labels.size());
    data.count = images.count;
    data.h = images.h;
    data.w = images.w;
    data.c = 1;
    data.images = std::move(images.pixels);
  }

  // The classes are those of both parts, so that a class that the test part lacks keeps its number.
  std::vector<std::string> class_names(const DataFiles& files) const override {
    std::int64_t classes = 0;
    for (Role role : {kTrainLabels, kTestLabels}) {
      const fs::path& path = files.files[role].path;
      if (path.empty()) continue;
      for (std::int32_t label : read_idx_labels(path))
        classes = std::max<std::int64_t>(classes, label + 1);
    }
    std::vector<std::string> names;
    for (std::int64_t i = 0; i < classes; ++i) names.push_back(std::to_string(i));
    return names;
  }
};

}  // namespace

DataFormatPtr idx_format() { return std::make_shared<IdxFormat>(); }

}  // namespace lamina
