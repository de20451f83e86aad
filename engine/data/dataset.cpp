// SPDX-License-Identifier: Apache-2.0
#include "engine/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/idx.h"
#include "engine/data/locate.h"
#include "engine/data/registry.h"
#include "engine/data/synthetic_digits.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

IdxRole images_of(Part part) { return part == Part::train ? kTrainImages : kTestImages; }
IdxRole labels_of(Part part) { return part == Part::train ? kTrainLabels : kTestLabels; }

bool is_folder(const std::string& name) {
  std::error_code ignored;  // a path that cannot be looked at is reported as unknown
  return fs::is_directory(name, ignored);
}

void read_part(const IdxFiles& files, Part part, const std::string& mend, Dataset& data) {
  const fs::path& image_path = files.paths[images_of(part)];
  const fs::path& label_path = files.paths[labels_of(part)];
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

Dataset load_known(const DatasetInfo& info, Part part, const DataOpts& opts) {
  Dataset data;
  data.classes = std::ssize(info.class_names);
  const IdxFiles files = locate_files(info, opts.root, {images_of(part), labels_of(part)});
  data.origin = files.folder.string();
  const std::string mend = mend_for(info, opts.root, files.folder);
  read_part(files, part, mend, data);
  data.class_names = info.class_names;
  data.mean = info.mean;
  data.stddev = info.stddev;
  return data;
}

// The classes are those of both parts, so that a class that the test part lacks keeps its number.
Dataset load_folder(const std::string& folder, Part part) {
  const IdxFiles files = idx_files_in(folder);
  for (IdxRole role : {images_of(part), labels_of(part)}) {
    if (files.paths[role].empty())
      fail("the folder '{}' has no file '{}' (plain or .gz); put it there, or name a data set: {}.",
           folder,
           usual_name(role),
           fmt::join(dataset_names(), ", "));
  }
  Dataset data;
  data.origin = folder;
  read_part(files, part, kReplaceFile, data);
  for (IdxRole role : {kTrainLabels, kTestLabels}) {
    if (files.paths[role].empty()) continue;
    for (std::int32_t label : read_idx_labels(files.paths[role]))
      data.classes = std::max<std::int64_t>(data.classes, label + 1);
  }
  for (std::int64_t i = 0; i < data.classes; ++i) data.class_names.push_back(std::to_string(i));
  data.mean = {0.0f};
  data.stddev = {1.0f};
  return data;
}

void keep_first(std::int64_t limit, Dataset& data) {
  LAMINA_CHECK(limit >= 0, "a data set cannot be limited to {} samples; 0 means all.", limit);
  if (limit == 0 || limit >= data.count) return;
  data.count = limit;
  data.labels.resize(static_cast<std::size_t>(limit));
  data.images.resize(static_cast<std::size_t>(limit * data.h * data.w * data.c));
  data.images.shrink_to_fit();
}

}  // namespace

std::string_view name_of(Part part) { return part == Part::train ? "train" : "test"; }

Part part_from_name(std::string_view name) {
  for (Part part : {Part::train, Part::test}) {
    if (name == name_of(part)) return part;
  }
  fail_request("unknown part '{}'; the parts of a data set are train and test.", name);
}

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const DatasetInfo& info : known_datasets()) names.push_back(info.name);
  return names;
}

Dataset load_dataset(const std::string& name, Part part, const DataOpts& opts) {
  const std::optional<DatasetInfo> info = find_dataset(name);
  Dataset data;
  if (info && info->generated) {
    data = make_synthetic_digits(part, opts.seed, opts.limit);
  } else if (info) {
    data = load_known(*info, part, opts);
  } else if (is_folder(name)) {
    data = load_folder(name, part);
  } else {
    fail_unknown_dataset(name);
  }
  data.name = name;
  keep_first(opts.limit, data);
  return data;
}

}  // namespace lamina
