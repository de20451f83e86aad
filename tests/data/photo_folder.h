// A folder of cats and dogs to train on, for tests of data sets of photographs; it starts empty.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "engine/data/dataset.h"
#include "tests/data/image_files.h"
#include "tests/data/support.h"

namespace lamina {

class PhotoFolder : public testing::Test {
 protected:
  explicit PhotoFolder(std::int64_t side) : opts{.image_size = side} {
    std::filesystem::create_directories(cats);
    std::filesystem::create_directories(dogs);
  }
  // The files in the cache.
  std::vector<std::filesystem::path> caches() const {
    std::vector<std::filesystem::path> found;
    if (!std::filesystem::exists(home / "cache")) return found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(home / "cache")) {
      if (entry.is_regular_file()) found.push_back(entry.path());
    }
    return found;
  }

  TempFolder home;
  LonelySearch lonely{home.path()};
  const std::filesystem::path folder = home / "pets", cats = folder / "train" / "cat",
                              dogs = folder / "train" / "dog";
  DataOpts opts;
};

}  // namespace lamina
