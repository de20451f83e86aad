// SPDX-License-Identifier: Apache-2.0
#include "engine/data/image_folder.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/image_packing.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

double gigabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e9; }

// Keeps nothing but which of the images are good.
class Looker : public ImageSlots {
 public:
  explicit Looker(std::size_t count) : is_good_(count) {}
  void put(std::size_t slot, std::span<const std::uint8_t>) override { is_good_[slot] = 1; }
  void move(std::size_t, std::size_t) override {}
  std::vector<std::size_t> good() const {
    std::vector<std::size_t> list;
    for (std::size_t i = 0; i < is_good_.size(); ++i) {
      if (is_good_[i]) list.push_back(i);
    }
    return list;
  }

 private:
  std::vector<char> is_good_;  // not bits: threads write them
};

// Photographs that are decoded when they are wanted.
class Photographs : public ImageSource {
 public:
  Photographs(std::vector<fs::path> paths, std::int64_t side)
      : paths_(std::move(paths)), side_(side) {}
  void read(std::int64_t index, std::span<std::uint8_t> to) const override {
    decode_square(paths_[static_cast<std::size_t>(index)], side_, to);
  }

 private:
  std::vector<fs::path> paths_;
  std::int64_t side_;
};

// The labels of the images, and the images or where to read them.
struct Loaded {
  PackedImages packed;
  std::shared_ptr<const ImageSource> source;
};

std::vector<std::uint8_t> read_all(const ImageCache& cache) {
  const std::size_t size = square_bytes(cache.packed.side);
  std::vector<std::uint8_t> images(cache.packed.labels.size() * size);
  for (std::size_t i = 0; i < cache.packed.labels.size(); ++i)
    cache.images->read(static_cast<std::int64_t>(i), std::span(images).subspan(i * size, size));
  return images;
}

void check_space(const fs::path& path, const ImageList& list, std::int64_t side) {
  make_folder(path.parent_path());
  std::error_code unknown;
  const fs::space_info space = fs::space(path.parent_path(), unknown);
  const std::uint64_t bytes = list.images.size() * square_bytes(side);
  if (unknown || bytes <= space.available) return;
  fail(
      "the {} images of '{}' take {:.1f} GB as squares of {}, and {:.1f} GB are free in '{}'; set "
      "XDG_CACHE_HOME to a folder with more room, choose a smaller --image-size, or --image-store "
      "files, which decodes them anew in every epoch.",
      list.images.size(),
      list.folder.string(),
      gigabytes(bytes),
      side,
      gigabytes(space.available),
      path.parent_path().string());
}

// Out of the cache where it has them, else packed and kept there.
Loaded load_packed(const ImageList& list,
                   const DataOpts& opts,
                   const PackOpts& pack,
                   bool in_memory,
                   std::vector<std::string>& notes) {
  const std::string key = image_cache_key(list, opts.image_size);
  const auto path = image_cache_path(list, opts.image_size, opts.limit);
  std::optional<ImageCache> cache = path ? open_image_cache(*path, key) : std::nullopt;
  // Packed when more bad files were allowed than now: packing them again names one.
  if (cache && std::ssize(cache->packed.skipped) > opts.skip_bad) cache.reset();
  if (cache) {
    if (!in_memory) return {std::move(cache->packed), cache->images};
    cache->packed.images = read_all(*cache);
    return {std::move(cache->packed), nullptr};
  }
  if (in_memory) {
    PackedImages packed = pack_images(list, pack);
    try {
      if (path) write_image_cache(*path, key, packed);
    } catch (const Error& error) {
      notes.push_back(fmt::format("the images will be decoded again next time: {}", error.what()));
    }
    return {std::move(packed), nullptr};
  }
  if (!path)
    fail(
        "there is no folder for the packed images: HOME and XDG_CACHE_HOME are not set; set one, "
        "or choose --image-store files.");
  check_space(*path, list, opts.image_size);
  ImageCacheWriter writer(*path, opts.image_size);
  writer.commit(pack_images(list, pack, &writer), key);
  cache = open_image_cache(*path, key);
  if (!cache) fail("'{}' was changed while it was written; start again.", path->string());
  return {std::move(cache->packed), cache->images};
}

// Bad files are looked for only where some are allowed; else the first one stops the training.
Loaded load_files(const ImageList& list, const DataOpts& opts, const PackOpts& pack) {
  Loaded loaded;
  std::vector<fs::path> paths;
  if (opts.skip_bad > 0) {
    Looker looker(list.images.size());
    loaded.packed = pack_images(list, pack, &looker);
    for (std::size_t i : looker.good()) paths.push_back(list.images[i].path);
  } else {
    loaded.packed.class_names = list.class_names;
    for (const ImageEntry& image : list.images) {
      loaded.packed.labels.push_back(image.label);
      paths.push_back(image.path);
    }
  }
  loaded.source = std::make_shared<Photographs>(std::move(paths), opts.image_size);
  return loaded;
}

bool fits_memory(const ImageList& list, const DataOpts& opts) {
  // The device's copy on a CPU, the other part and the network need room too.
  constexpr std::uint64_t kShare = 4;
  const std::uint64_t most = opts.most_bytes > 0 ? static_cast<std::uint64_t>(opts.most_bytes)
                                                 : memory_of_machine() / kShare;
  return list.images.size() * square_bytes(opts.image_size) <= most;
}

Loaded load(const ImageList& list, const DataOpts& opts, std::vector<std::string>& notes) {
  const PackOpts pack{.side = opts.image_size,
                      .skip_bad = opts.skip_bad,
                      .threads = opts.threads,
                      .progress = opts.progress};
  if (opts.store == ImageStore::files) return load_files(list, opts, pack);
  const bool in_memory = opts.store == ImageStore::memory ||
                         (opts.store == ImageStore::automatic && fits_memory(list, opts));
  return load_packed(list, opts, pack, in_memory, notes);
}

}  // namespace

Dataset load_image_folder(const std::string& folder, Part part, const DataOpts& opts) {
  constexpr std::int64_t kMostSide = 4096;
  LAMINA_CHECK(opts.image_size > 0 && opts.image_size <= kMostSide,
               "images cannot be made squares of {} pixels; choose an image size of 1 to {}.",
               opts.image_size,
               kMostSide);
  LAMINA_CHECK(opts.skip_bad >= 0, "{} bad files cannot be skipped; 0 means none.", opts.skip_bad);
  const ImageList list = list_images(folder, part, opts.limit);
  Dataset data;
  auto [packed, source] = load(list, opts, data.notes);
  if (!packed.skipped.empty())
    data.notes.push_back(fmt::format("{} of {} images of '{}' are bad and were skipped:",
                                     packed.skipped.size(),
                                     list.images.size(),
                                     list.folder.string()));
  data.notes.insert(data.notes.end(), packed.skipped.begin(), packed.skipped.end());
  data.origin = list.folder.string();
  data.count = std::ssize(packed.labels);
  data.h = data.w = opts.image_size;
  data.c = 3;
  data.class_names = std::move(packed.class_names);
  data.classes = std::ssize(data.class_names);
  data.images = std::move(packed.images);
  data.source = std::move(source);
  data.labels = std::move(packed.labels);
  // Of ImageNet, on which most networks that people start from were trained.
  data.mean = {0.485f, 0.456f, 0.406f};
  data.stddev = {0.229f, 0.224f, 0.225f};
  return data;
}

}  // namespace lamina
