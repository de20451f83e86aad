// CIFAR-10 and CIFAR-100: the files of a folder, and pixels as we keep them.
// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "engine/core/error.h"
#include "engine/data/cifar.h"
#include "engine/data/format.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

struct Layout {
  std::int64_t label_bytes = 1, classes = 10;
  std::vector<DataFile> files;     // names of the Python version; the binary one appends ".bin"
  std::vector<std::string> metas;  // files with the names of the classes
};

class CifarFormat : public DataFormat {
 public:
  explicit CifarFormat(Layout layout) : layout_(std::move(layout)) {}

  DataFiles find(const fs::path& folder) const override {
    DataFiles found{folder, layout_.files};
    for (DataFile& file : found.files) {
      file.path = plain_or_gzip(folder, file.name + ".bin");
      if (file.path.empty()) file.path = plain_or_gzip(folder, file.name);
      // A folder called "train" is another kind of data set.
      std::error_code ignored;
      if (fs::is_directory(file.path, ignored)) file.path.clear();
      file.name += ".bin";
    }
    return found;
  }

  void read(const DataFiles& files,
            Part part,
            const std::string& mend,
            Dataset& data) const override {
    data.h = data.w = kCifarSide;
    data.c = kCifarChannels;
    for (const DataFile& file : files.files) {
      if (file.part != part) continue;
      append(file.path, read_cifar_records(file.path, layout_.label_bytes, mend), mend, data);
    }
    data.count = std::ssize(data.labels);
  }

  std::vector<std::string> class_names(const DataFiles& files) const override {
    for (const std::string& meta : layout_.metas) {
      const fs::path path = plain_or_gzip(files.folder, meta);
      if (path.empty()) continue;
      std::vector<std::string> names = read_cifar_names(path);
      if (names.empty())
        fail("'{}' names no class; replace it by a good copy, or remove it.", path.string());
      return names;
    }
    std::vector<std::string> names;
    for (std::int64_t i = 0; i < layout_.classes; ++i) names.push_back(std::to_string(i));
    return names;
  }

  // Of the records, so that the Python version of a published file is known too.
  ContentSum content_sum(const fs::path& path, const std::string& mend) const override {
    const std::vector<std::uint8_t> records = read_cifar_records(path, layout_.label_bytes, mend);
    return {sha256_of(records), records.size()};
  }

 private:
  // Files hold one plane of pixels per channel; images hold the channels of a pixel side by side.
  void append(const fs::path& path,
              const std::vector<std::uint8_t>& records,
              const std::string& mend,
              Dataset& data) const {
    constexpr std::int64_t kPlane = kCifarSide * kCifarSide;
    const std::int64_t size = layout_.label_bytes + kCifarPixels;
    const std::int64_t count = std::ssize(records) / size, before = std::ssize(data.labels);
    data.images.resize(static_cast<std::size_t>((before + count) * kCifarPixels));
    std::uint8_t* pixel = data.images.data() + before * kCifarPixels;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint8_t* planes = records.data() + i * size + layout_.label_bytes;
      const std::int32_t label = planes[-1];
      if (label >= data.classes)
        fail("'{}' has label {} in record {}, where the {} classes are 0 to {}; {}.",
             path.string(),
             label,
             i,
             data.classes,
             data.classes - 1,
             mend);
      data.labels.push_back(label);
      for (std::int64_t at = 0; at < kPlane; ++at) {
        for (std::int64_t c = 0; c < kCifarChannels; ++c) *pixel++ = planes[c * kPlane + at];
      }
    }
  }

  Layout layout_;
};

}  // namespace

DataFormatPtr cifar10_format() {
  Layout layout{.label_bytes = 1, .classes = 10, .files = {}, .metas = {}};
  for (int i = 1; i <= 5; ++i)
    layout.files.push_back({Part::train, "data_batch_" + std::to_string(i), {}});
  layout.files.push_back({Part::test, "test_batch", {}});
  layout.metas = {"batches.meta.txt", "batches.meta"};
  return std::make_shared<CifarFormat>(std::move(layout));
}

DataFormatPtr cifar100_format() {
  return std::make_shared<CifarFormat>(
      Layout{.label_bytes = 2,
             .classes = 100,
             .files = {{Part::train, "train", {}}, {Part::test, "test", {}}},
             .metas = {"fine_label_names.txt", "meta"}});
}

}  // namespace lamina
