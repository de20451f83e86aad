// SPDX-License-Identifier: Apache-2.0
#include "engine/data/locate.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "engine/core/error.h"
#include "engine/data/sha256.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The current folder and the repository it lies in.
std::vector<fs::path> bases() {
  std::error_code error;
  const fs::path here = fs::current_path(error);
  if (error) return {};
  std::vector<fs::path> found = {here};
  for (fs::path up = here;; up = up.parent_path()) {
    if (is_there(up / ".git")) {
      if (up != here) found.push_back(up);
      return found;
    }
    if (up == up.parent_path()) return found;
  }
}

// A folder of data sets holds each in a folder of its name, or as others lay them out.
void add_shelf(const DatasetInfo& info, const fs::path& shelf, std::vector<fs::path>& folders) {
  folders.push_back(shelf / info.name);
  for (const std::string& name : info.folders) folders.push_back(shelf / name);
}

// A root is such a folder, or is itself the data set's.
void add_root(const DatasetInfo& info, const fs::path& root, std::vector<fs::path>& folders) {
  add_shelf(info, root, folders);
  folders.push_back(root);
}

// MNIST and Fashion-MNIST have files of the same names and sizes, so a folder can hold the one
// where the other is looked for. Labels are small and tell them apart. Empty: no other data set.
std::string other_name(const DatasetInfo& info, const DataFiles& files) {
  constexpr std::int64_t kSmall = 1 << 20;
  for (std::size_t i = 0; i < files.files.size(); ++i) {
    const PublishedFile& mine = info.files[i];
    if (files.files[i].path.empty() || mine.content_bytes > kSmall) continue;
    std::string sum;
    try {
      sum = sha256_of_content(files.files[i].path).sha256;
    } catch (const Error&) {
      continue;  // damaged: whoever reads it says so better
    }
    for (const DatasetInfo& other : known_datasets()) {
      if (other.name != info.name && other.files.size() > i && other.files[i].name == mine.name &&
          other.files[i].content_sha256 == sum)
        return other.name;
    }
  }
  return "";
}

// What keeps a folder from being the one; empty when it is.
std::string objection(const DatasetInfo& info, const DataFiles& files, Parts need) {
  if (const std::string missing = missing_files(files, need); !missing.empty())
    return "without " + missing;
  const std::string other = other_name(info, files);
  return other.empty() ? "" : "holds '" + other + "'";
}

bool has_any(const DataFiles& files) {
  return std::any_of(files.files.begin(), files.files.end(), [](const DataFile& file) {
    return !file.path.empty();
  });
}

std::string get_command(const DatasetInfo& info, const std::string& root) {
  return fmt::format(
      "'lamina data get {}{}'", info.name, root.empty() ? "" : " --data-dir " + root);
}

}  // namespace

std::string missing_files(const DataFiles& files, Parts need) {
  std::string missing;
  for (const DataFile& file : files.files) {
    if (file.path.empty() && std::find(need.begin(), need.end(), file.part) != need.end())
      missing += (missing.empty() ? "" : ", ") + file.name;
  }
  return missing;
}

std::optional<fs::path> cache_folder() {
  // The XDG rules: a relative value counts as none.
  const fs::path cache = environment("XDG_CACHE_HOME");
  if (cache.is_absolute()) return cache / "lamina";
  const std::string home = environment("HOME");
  if (home.empty()) return std::nullopt;
  return fs::path(home) / ".cache" / "lamina";
}

fs::path download_folder(const DatasetInfo& info, const std::string& root) {
  if (!root.empty()) return fs::path(root) / info.name;
  const std::optional<fs::path> cache = cache_folder();
  if (!cache)
    fail(
        "there is no folder for downloads: HOME and XDG_CACHE_HOME are not set; name one with "
        "--data-dir.");
  return *cache / info.name;
}

std::vector<fs::path> search_folders(const DatasetInfo& info, const std::string& root) {
  std::vector<fs::path> folders;
  if (!root.empty()) {
    add_root(info, root, folders);
    return folders;
  }
  if (const std::string data = environment("LAMINA_DATA"); !data.empty())
    add_root(info, data, folders);
  for (const fs::path& base : bases()) {
    folders.push_back((base / ".." / "shared" / "data" / info.name).lexically_normal());
    add_shelf(info, base / "data", folders);
  }
  if (const std::optional<fs::path> cache = cache_folder()) folders.push_back(*cache / info.name);
  if (!info.system_folder.empty()) folders.emplace_back(info.system_folder);
  return folders;
}

std::optional<DataFiles> find_files(const DatasetInfo& info, const std::string& root, Parts need) {
  for (const fs::path& folder : search_folders(info, root)) {
    DataFiles files = info.format->find(folder);
    if (objection(info, files, need).empty()) return files;
  }
  return std::nullopt;
}

DataFiles locate_files(const DatasetInfo& info, const std::string& root, Parts need) {
  if (std::optional<DataFiles> files = find_files(info, root, need)) return *files;
  if (!root.empty() && !is_there(root))
    fail_request(
        "the folder '{}' does not exist, so it holds no '{}'; correct --data-dir, or run {} "
        "to download it there.",
        root,
        info.name,
        get_command(info, root));
  std::string places;
  for (const fs::path& folder : search_folders(info, root)) {
    const DataFiles files = info.format->find(folder);
    if (!places.empty()) places += ", ";
    places += "'" + folder.string() + "'";
    if (has_any(files)) places += " (" + objection(info, files, need) + ")";
  }
  fail(
      "data set '{}' was not found in {}; run {} to download it{}, or name the folder that holds "
      "it "
      "with --data-dir or LAMINA_DATA.",
      info.name,
      places,
      get_command(info, root),
      info.system_package.empty()
          ? ""
          : fmt::format(" or 'apt-get install {}' on Debian", info.system_package));
}

std::string mend_for(const DatasetInfo& info, const std::string& root, const fs::path& folder) {
  if (!info.system_folder.empty() && folder == info.system_folder)
    return fmt::format("run 'apt-get install --reinstall {}'", info.system_package);
  return fmt::format("move it away and run {}", get_command(info, root));
}

}  // namespace lamina
