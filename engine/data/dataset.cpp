// SPDX-License-Identifier: Apache-2.0
#include "engine/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/format.h"
#include "engine/data/image_folder.h"
#include "engine/data/image_list.h"
#include "engine/data/locate.h"
#include "engine/data/registry.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

bool is_folder(const std::string& name) {
  std::error_code ignored;  // a path that cannot be looked at is reported as unknown
  return fs::is_directory(name, ignored);
}

Dataset load_known(const DatasetInfo& info, Part part, const DataOpts& opts) {
  Dataset data;
  data.class_names = info.class_names;
  data.classes = std::ssize(info.class_names);
  data.mean = info.mean;
  data.stddev = info.stddev;
  const DataFiles files = locate_files(info, opts.root, {part});
  data.origin = files.folder.string();
  info.format->read(files, part, mend_for(info, opts.root, files.folder), data);
  return data;
}

Dataset load_folder(const std::string& folder, Part part, const DataOpts& opts) {
  if (is_image_folder(folder)) return load_image_folder(folder, part, opts);
  const auto [format, files] = find_format(folder);
  if (!format)
    fail(
        "the folder '{}' holds no data set: neither IDX files (train-images-idx3-ubyte and its "
        "like) nor those of CIFAR (data_batch_1.bin or train.bin and their like) nor images "
        "(train/CLASS/*.jpg); put them there, or name a data set: {}.",
        folder,
        fmt::join(dataset_names(), ", "));
  for (const DataFile& file : files.files) {
    if (file.part == part && file.path.empty())
      fail("the folder '{}' has no file '{}' (plain or .gz); put it there, or name a data set: {}.",
           folder,
           file.name,
           fmt::join(dataset_names(), ", "));
  }
  Dataset data;
  data.origin = folder;
  data.class_names = format->class_names(files);
  data.classes = std::ssize(data.class_names);
  format->read(files, part, kReplaceFile, data);
  data.mean.assign(static_cast<std::size_t>(data.c), 0.0f);
  data.stddev.assign(static_cast<std::size_t>(data.c), 1.0f);
  data.has_constants = false;
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

ImageStore image_store_from_name(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames{"auto", "memory", "packed", "files"};
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end())
    fail_request("unknown image store '{}'; choose {}.", name, fmt::join(kNames, ", "));
  return static_cast<ImageStore>(found - kNames.begin());
}

void Dataset::read_image(std::int64_t index, std::span<std::uint8_t> to) const {
  LAMINA_CHECK(index >= 0 && index < count && std::ssize(to) == image_bytes(),
               "data set {} has no image {}, or {} bytes do not hold it.",
               name,
               index,
               to.size());
  if (source)
    source->read(index, to);
  else
    std::copy_n(images.begin() + index * image_bytes(), image_bytes(), to.begin());
}

std::vector<std::uint8_t> Dataset::image(std::int64_t index) const {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(image_bytes()));
  read_image(index, pixels);
  return pixels;
}

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const DatasetInfo& info : known_datasets()) names.push_back(info.name);
  return names;
}

Dataset load_dataset(const std::string& name, Part part, const DataOpts& opts) {
  const std::optional<DatasetInfo> info = find_dataset(name);
  Dataset data;
  if (info && info->draw != nullptr) {
    data = info->draw(*info, part, opts);
  } else if (info) {
    data = load_known(*info, part, opts);
  } else if (is_folder(name)) {
    data = load_folder(name, part, opts);
  } else {
    fail_unknown_dataset(name);
  }
  data.name = name;
  keep_first(opts.limit, data);
  return data;
}

}  // namespace lamina
