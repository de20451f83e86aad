// Finding the files of a data set on this machine.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/registry.h"

namespace lamina {

std::string_view usual_name(IdxRole role);  // "train-images-idx3-ubyte"

// The four files of a folder, by IdxRole; an empty path where there is none. Names are those of the
// originals, with or without ".gz", with '-' or '.' before "idx"; "test-" may stand for "t10k-".
struct IdxFiles {
  std::filesystem::path folder;
  std::array<std::filesystem::path, 4> paths;
};
IdxFiles idx_files_in(const std::filesystem::path& folder);

// Where downloads go: `root`/<name>, or without a root ${XDG_CACHE_HOME:-~/.cache}/lamina/<name>.
std::filesystem::path download_folder(const DatasetInfo& info, const std::string& root);

// Folders that may hold the data set, the first to be preferred. A root that the user named is the
// only place looked at; else $LAMINA_DATA, the folders beside and in the current folder and the
// repository around it, the download cache, the system's package.
std::vector<std::filesystem::path> search_folders(const DatasetInfo& info, const std::string& root);

// The first of these folders that has all the files of `need`, and not those of another data set.
using IdxRoles = std::initializer_list<IdxRole>;
std::optional<IdxFiles> find_files(const DatasetInfo& info, const std::string& root, IdxRoles need);

// The same; a data set that is not there is an error that lists every place and the mend.
IdxFiles locate_files(const DatasetInfo& info, const std::string& root, IdxRoles need);

// Half a sentence: what to do about a damaged file of `info` in `folder`.
std::string mend_for(const DatasetInfo& info,
                     const std::string& root,
                     const std::filesystem::path& folder);

}  // namespace lamina
