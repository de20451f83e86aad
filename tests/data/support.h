// What the tests of data sets share: small IDX files, gzip, and the environment.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/data/registry.h"
#include "tests/files/temp_folder.h"

namespace lamina {

// An environment variable, set (or unset) for the life of this object.
class Environment {
 public:
  Environment(const char* name, const std::optional<std::string>& value);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  static void set(const char* name, const std::optional<std::string>& value);
  const char* name_;
  std::optional<std::string> before_;
};

// The current folder, for the life of this object.
class CurrentFolder {
 public:
  explicit CurrentFolder(const std::filesystem::path& path)
      : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(path);
  }
  ~CurrentFolder() { std::filesystem::current_path(before_); }
  CurrentFolder(const CurrentFolder&) = delete;
  CurrentFolder& operator=(const CurrentFolder&) = delete;

 private:
  std::filesystem::path before_;
};

// A search for data sets that finds nothing outside `home`: no variable, no repository, an empty
// cache.
struct LonelySearch {
  explicit LonelySearch(const std::filesystem::path& home)
      : data("LAMINA_DATA", std::nullopt),
        mirror("LAMINA_MIRROR", std::nullopt),
        cache("XDG_CACHE_HOME", (home / "cache").string()),
        folder(home) {}
  Environment data, mirror, cache;
  CurrentFolder folder;
};

std::string big_endian(std::uint32_t value);

// IDX files as bytes, with whatever header is asked for.
std::string idx_images(std::uint32_t count,
                       std::uint32_t h,
                       std::uint32_t w,
                       const std::string& pixels);
std::string idx_labels(std::uint32_t count, const std::string& labels);
std::string idx_labels(const std::vector<int>& labels);

// One gzip member, by zlib's own one-call interface.
std::string gzip(const std::string& bytes);

// Four files of `train` and `test` samples of 2x3 pixels into a folder, plain; label i % 3.
void put_small_set(const std::filesystem::path& folder, int train = 6, int test = 3);

// A file to publish in a test: its sums are right.
PublishedFile published(const std::string& name, const std::string& content);

}  // namespace lamina
