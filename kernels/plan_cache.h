// What was chosen before, by cuDNN or by timing: a folder of files that each say what their plan is
// for.
//
// A file is named by the SHA-256 of its key, holds the whole key and is used only where that is
// equal. Files that are damaged or foreign count as none and are written anew; nothing here throws.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lamina {

struct CachedPlan {
  std::string engine;                    // CudnnPlan::engine(), or implementations by name
  std::vector<std::uint8_t> bytes = {};  // UBJSON, as cudnn-frontend serialises a plan; or nothing
};

class PlanCache {
 public:
  // An empty folder: nothing is found and nothing kept. The folder is made when it is needed.
  explicit PlanCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // $LAMINA_PLAN_CACHE, which may say "off"; else lamina/plans in $XDG_CACHE_HOME or ~/.cache.
  static std::filesystem::path usual_folder();

  // Keys are text in UTF-8.
  std::optional<CachedPlan> find(const std::string& key) const;
  // Replaces the file as a whole. Where that is impossible, one warning goes to stderr.
  void keep(const std::string& key, const CachedPlan& plan);

 private:
  std::filesystem::path file_of(const std::string& key) const;

  std::filesystem::path folder_;
  bool writable_ = true;
};

}  // namespace lamina
