// SPDX-License-Identifier: Apache-2.0
#include "engine/data/locate.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "engine/core/error.h"
#include "engine/data/sha256.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;  // what cannot be looked at is as good as absent
  return fs::exists(path, ignored);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> spellings(IdxRole role) {
  const std::string usual(usual_name(role));
  std::vector<std::string> names = {usual};
  if (usual.starts_with("t10k-")) names.push_back("test-" + usual.substr(5));
  for (std::size_t i = 0, count = names.size(); i < count; ++i) {
    std::string dotted = names[i];
    dotted.replace(dotted.rfind("-idx"), 1, ".");
    names.push_back(dotted);
  }
  return names;
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

// A root holds data sets in folders of their names, or as torchvision lays them out, or is itself
// the folder.
void add_root(const DatasetInfo& info, const fs::path& root, std::vector<fs::path>& folders) {
  folders.push_back(root / info.name);
  folders.push_back(root / info.torchvision_folder / "raw");
  folders.push_back(root);
}

// MNIST and Fashion-MNIST have files of the same names and sizes, so a folder can hold the one
// where the other is looked for. Labels are small and tell them apart. Empty: no other data set.
std::string other_name(const DatasetInfo& info, const IdxFiles& files) {
  for (IdxRole role : {kTrainLabels, kTestLabels}) {
    if (files.paths[role].empty()) continue;
    std::string sum;
    try {
      sum = sha256_of_content(files.paths[role]).sha256;
    } catch (const Error&) {
      continue;  // damaged: whoever reads it says so better
    }
    for (const DatasetInfo& other : known_datasets()) {
      if (other.name != info.name && sum == other.files[role].content_sha256) return other.name;
    }
  }
  return "";
}

// What keeps a folder from being the one; empty when it is.
std::string objection(const DatasetInfo& info, const IdxFiles& files, IdxRoles need) {
  std::string missing;
  for (IdxRole role : need) {
    if (files.paths[role].empty())
      missing += (missing.empty() ? "" : ", ") + std::string(usual_name(role));
  }
  if (!missing.empty()) return "without " + missing;
  const std::string other = other_name(info, files);
  return other.empty() ? "" : "holds '" + other + "'";
}

bool has_any(const IdxFiles& files) {
  return std::any_of(
      files.paths.begin(), files.paths.end(), [](const fs::path& path) { return !path.empty(); });
}

std::string get_command(const DatasetInfo& info, const std::string& root) {
  return fmt::format(
      "'lamina data get {}{}'", info.name, root.empty() ? "" : " --data-dir " + root);
}

}  // namespace

std::string_view usual_name(IdxRole role) {
  constexpr std::string_view kNames[] = {"train-images-idx3-ubyte",
                                         "train-labels-idx1-ubyte",
                                         "t10k-images-idx3-ubyte",
                                         "t10k-labels-idx1-ubyte"};
  return kNames[role];
}

IdxFiles idx_files_in(const fs::path& folder) {
  IdxFiles files{folder, {}};
  for (IdxRole role : {kTrainImages, kTrainLabels, kTestImages, kTestLabels}) {
    for (const std::string& name : spellings(role)) {
      for (const char* suffix : {"", ".gz"}) {
        if (files.paths[role].empty() && is_there(folder / (name + suffix)))
          files.paths[role] = folder / (name + suffix);
      }
    }
  }
  return files;
}

fs::path download_folder(const DatasetInfo& info, const std::string& root) {
  if (!root.empty()) return fs::path(root) / info.name;
  // The XDG rules: a relative value counts as none.
  const fs::path cache = environment("XDG_CACHE_HOME");
  if (cache.is_absolute()) return cache / "lamina" / info.name;
  const std::string home = environment("HOME");
  if (home.empty())
    fail(
        "there is no folder for downloads: HOME and XDG_CACHE_HOME are not set; name one with "
        "--data-dir.");
  return fs::path(home) / ".cache" / "lamina" / info.name;
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
    folders.push_back(base / "data" / info.name);
    folders.push_back(base / "data" / info.torchvision_folder / "raw");
  }
  if (!environment("HOME").empty() || !environment("XDG_CACHE_HOME").empty())
    folders.push_back(download_folder(info, root));
  if (!info.system_folder.empty()) folders.emplace_back(info.system_folder);
  return folders;
}

std::optional<IdxFiles> find_files(const DatasetInfo& info,
                                   const std::string& root,
                                   IdxRoles need) {
  for (const fs::path& folder : search_folders(info, root)) {
    IdxFiles files = idx_files_in(folder);
    if (objection(info, files, need).empty()) return files;
  }
  return std::nullopt;
}

IdxFiles locate_files(const DatasetInfo& info, const std::string& root, IdxRoles need) {
  if (std::optional<IdxFiles> files = find_files(info, root, need)) return *files;
  if (!root.empty() && !is_there(root))
    fail_request(
        "the folder '{}' does not exist, so it holds no '{}'; correct --data-dir, or run {} "
        "to download it there.",
        root,
        info.name,
        get_command(info, root));
  std::string places;
  for (const fs::path& folder : search_folders(info, root)) {
    const IdxFiles files = idx_files_in(folder);
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
