// SPDX-License-Identifier: Apache-2.0
#include "engine/data/image_packing.h"

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

namespace fs = std::filesystem;

class MemorySlots : public ImageSlots {
 public:
  MemorySlots(const ImageList& list, const PackOpts& opts) : size_(square_bytes(opts.side)) {
    const std::uint64_t bytes = list.images.size() * size_;
    const std::uint64_t most =
        opts.most_bytes > 0 ? static_cast<std::uint64_t>(opts.most_bytes) : memory_of_machine();
    if (bytes > most)
      fail(
          "the {} images of '{}' take {:.1f} GB as squares of {}, and there is memory for {:.1f}; "
          "choose --image-store packed or files, a smaller --image-size, or fewer images with "
          "--limit.",
          list.images.size(),
          list.folder.string(),
          static_cast<double>(bytes) / 1e9,
          opts.side,
          static_cast<double>(most) / 1e9);
    images_.resize(bytes);
  }
  void put(std::size_t slot, std::span<const std::uint8_t> image) override {
    std::copy(image.begin(), image.end(), images_.begin() + place(slot));
  }
  void move(std::size_t from, std::size_t to) override {
    std::copy_n(images_.begin() + place(from), size_, images_.begin() + place(to));
  }
  std::vector<std::uint8_t> take(std::size_t count) {
    images_.resize(count * size_);
    return std::move(images_);
  }

 private:
  std::ptrdiff_t place(std::size_t slot) const { return static_cast<std::ptrdiff_t>(slot * size_); }

  std::size_t size_;
  std::vector<std::uint8_t> images_;
};

// The threads take the images in the order of the list, so when one of them has met too many bad
// ones, all images before it are done or under way: which files are named never depends on chance.
class Packer {
 public:
  Packer(const ImageList& list, const PackOpts& opts, ImageSlots& slots)
      : list_(list), opts_(opts), slots_(slots) {
    packed_.side = opts.side;
    packed_.class_names = list.class_names;
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
  void work(bool tells) {
    try {
      std::vector<std::uint8_t> square(square_bytes(opts_.side));
      while (!stop_) {
        const std::size_t i = next_++;
        if (i >= list_.images.size()) return;
        if (tells && opts_.progress)
          opts_.progress(static_cast<std::int64_t>(i), std::ssize(list_.images));
        if (is_good(i, square)) slots_.put(i, square);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      thrown_ = std::current_exception();
      stop_ = true;
    }
  }

  bool is_good(std::size_t i, std::span<std::uint8_t> square) {
    try {
      decode_square(list_.images[i].path, opts_.side, square);
      return true;
    } catch (const Error& error) {
      const std::lock_guard lock(mutex_);
      bad_[i] = error.what();
      if (std::ssize(bad_) > opts_.skip_bad) stop_ = true;
      return false;
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
      if (count != i) slots_.move(i, count);
      packed_.labels.push_back(list_.images[i].label);
      ++count;
    }
    if (count == 0)
      fail("all {} images of '{}' are bad; the first: {}",
           list_.images.size(),
           list_.folder.string(),
           packed_.skipped.front());
  }

  const ImageList& list_;
  const PackOpts& opts_;
  ImageSlots& slots_;
  PackedImages packed_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::map<std::size_t, std::string> bad_;
  std::exception_ptr thrown_;
};

}  // namespace

void decode_square(const fs::path& path, std::int64_t side, std::span<std::uint8_t> square) {
  ByteReader reader(path, kReplaceFile, ByteReader::Mode::as_stored);
  std::vector<std::uint8_t> bytes(reader.file_bytes());
  bytes.resize(reader.read(bytes));
  resize_to_square(decode_image(path.string(), bytes, side), side, square);
}

std::uint64_t memory_of_machine() {
  return static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

PackedImages pack_images(const ImageList& list, const PackOpts& opts, ImageSlots* slots) {
  std::int64_t threads = opts.threads;
  if (threads <= 0) threads = std::max(1u, std::thread::hardware_concurrency());
  threads = std::min<std::int64_t>(threads, std::ssize(list.images));
  const auto run = [&](ImageSlots& to) {
    return Packer(list, opts, to).run(static_cast<std::size_t>(threads));
  };
  if (slots != nullptr) return run(*slots);
  MemorySlots memory(list, opts);
  PackedImages packed = run(memory);
  packed.images = memory.take(packed.labels.size());
  return packed;
}

}  // namespace lamina
