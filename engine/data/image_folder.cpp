// SPDX-License-Identifier: Apache-2.0
#include "engine/data/image_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/byte_reader.h"
#include "engine/data/image_file.h"
#include "engine/data/resize.h"

namespace lamina {
namespace {

std::vector<std::uint8_t> bytes_of_file(const std::filesystem::path& path) {
  ByteReader reader(path, kReplaceFile, ByteReader::Mode::as_stored);
  std::vector<std::uint8_t> bytes(reader.file_bytes());
  bytes.resize(reader.read(bytes));
  return bytes;
}

// The threads take the images in the order of the list, so when one of them has met too many bad
// ones, all images before it are done or under way: which files are named never depends on chance.
class Packer {
 public:
  Packer(const ImageList& list, const PackOpts& opts) : list_(list), opts_(opts) {
    packed_.side = opts.side;
    packed_.class_names = list.class_names;
    check_memory();
    packed_.images.resize(list.images.size() * stride());
  }

  PackedImages run(std::size_t threads) {
    {
      std::vector<std::jthread> others;
      for (std::size_t i = 1; i < threads; ++i) others.emplace_back([this] { work(false); });
      work(true);
    }
    if (thrown_) std::rethrow_exception(thrown_);
    if (std::ssize(bad_) > opts_.skip_bad) fail_of_bad();
    collect();
    return std::move(packed_);
  }

 private:
  std::size_t stride() const { return static_cast<std::size_t>(opts_.side * opts_.side * 3); }
  std::span<std::uint8_t> slot(std::size_t i) {
    return std::span(packed_.images).subspan(i * stride(), stride());
  }

  void check_memory() const {
    const std::uint64_t bytes = list_.images.size() * stride();
    const std::uint64_t most = opts_.most_bytes > 0
                                   ? static_cast<std::uint64_t>(opts_.most_bytes)
                                   : static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                         static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    if (bytes > most)
      fail(
          "the {} images of '{}' take {:.1f} GB as squares of {}, and there is memory for {:.1f}; "
          "choose a smaller --image-size, or fewer images with --limit.",
          list_.images.size(),
          list_.folder.string(),
          static_cast<double>(bytes) / 1e9,
          opts_.side,
          static_cast<double>(most) / 1e9);
  }

  void work(bool tells) {
    try {
      while (!stop_) {
        const std::size_t i = next_++;
        if (i >= list_.images.size()) return;
        if (tells && opts_.progress)
          opts_.progress(static_cast<std::int64_t>(i), std::ssize(list_.images));
        pack(i);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      thrown_ = std::current_exception();
      stop_ = true;
    }
  }

  void pack(std::size_t i) {
    try {
      const std::filesystem::path& path = list_.images[i].path;
      const Picture picture = decode_image(path.string(), bytes_of_file(path), opts_.side);
      resize_to_square(picture, opts_.side, slot(i));
    } catch (const Error& error) {
      const std::lock_guard lock(mutex_);
      bad_[i] = error.what();
      if (std::ssize(bad_) > opts_.skip_bad) stop_ = true;
    }
  }

  [[noreturn]] void fail_of_bad() const {
    // The first one too many, in the order of the list.
    const auto one = std::next(bad_.begin(), static_cast<std::ptrdiff_t>(opts_.skip_bad));
    if (opts_.skip_bad == 0) throw Error(ErrorKind::failure, one->second);
    std::string text = one->second;
    fail("more than the {} bad files that --skip-bad allows; the next is this: {}",
         opts_.skip_bad,
         text);
  }

  // Moves the good images over the gaps of the bad ones.
  void collect() {
    std::size_t count = 0;
    for (std::size_t i = 0; i < list_.images.size(); ++i) {
      if (const auto bad = bad_.find(i); bad != bad_.end()) {
        packed_.skipped.push_back(bad->second);
        continue;
      }
      if (count != i) std::copy_n(slot(i).begin(), stride(), slot(count).begin());
      packed_.labels.push_back(list_.images[i].label);
      ++count;
    }
    if (count == 0)
      fail("all {} images of '{}' are bad; the first: {}",
           list_.images.size(),
           list_.folder.string(),
           packed_.skipped.front());
    packed_.images.resize(count * stride());
  }

  const ImageList& list_;
  const PackOpts& opts_;
  PackedImages packed_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::map<std::size_t, std::string> bad_;
  std::exception_ptr thrown_;
};

// Out of the cache where it has them, else packed and kept there.
PackedImages pack_once(const ImageList& list,
                       const DataOpts& opts,
                       std::vector<std::string>& notes) {
  const std::string key = image_cache_key(list, opts.image_size);
  const auto cache = image_cache_path(list, opts.image_size, opts.limit);
  if (cache) {
    std::optional<PackedImages> kept = read_image_cache(*cache, key);
    // Packed when more bad files were allowed than now: packing them again names one.
    if (kept && std::ssize(kept->skipped) <= opts.skip_bad) return *std::move(kept);
  }
  PackedImages packed = pack_images(list,
                                    {.side = opts.image_size,
                                     .skip_bad = opts.skip_bad,
                                     .threads = opts.threads,
                                     .progress = opts.progress});
  try {
    if (cache) write_image_cache(*cache, key, packed);
  } catch (const Error& error) {
    notes.push_back(fmt::format("the images will be decoded again next time: {}", error.what()));
  }
  return packed;
}

}  // namespace

PackedImages pack_images(const ImageList& list, const PackOpts& opts) {
  std::int64_t threads = opts.threads;
  if (threads <= 0) threads = std::max(1u, std::thread::hardware_concurrency());
  threads = std::min<std::int64_t>(threads, std::ssize(list.images));
  return Packer(list, opts).run(static_cast<std::size_t>(threads));
}

Dataset load_image_folder(const std::string& folder, Part part, const DataOpts& opts) {
  constexpr std::int64_t kMostSide = 4096;
  LAMINA_CHECK(opts.image_size > 0 && opts.image_size <= kMostSide,
               "images cannot be made squares of {} pixels; choose an image size of 1 to {}.",
               opts.image_size,
               kMostSide);
  LAMINA_CHECK(opts.skip_bad >= 0, "{} bad files cannot be skipped; 0 means none.", opts.skip_bad);
  const ImageList list = list_images(folder, part, opts.limit);
  Dataset data;
  PackedImages packed = pack_once(list, opts, data.notes);
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
  data.labels = std::move(packed.labels);
  // Of ImageNet, on which most networks that people start from were trained.
  data.mean = {0.485f, 0.456f, 0.406f};
  data.stddev = {0.229f, 0.224f, 0.225f};
  return data;
}

}  // namespace lamina
