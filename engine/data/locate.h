// Finding the files of a data set on this machine.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "engine/data/format.h"
#include "engine/data/registry.h"

namespace lamina {

// ${XDG_CACHE_HOME:-~/.cache}/lamina; nullopt where neither is set.
std::optional<std::filesystem::path> cache_folder();

// Where downloads go: `root`/<name>, or without a root ${XDG_CACHE_HOME:-~/.cache}/lamina/<name>.
std::filesystem::path download_folder(const DatasetInfo& info, const std::string& root);

// Folders that may hold the data set, the first to be preferred. A root that the user named is the
// only place looked at; else $LAMINA_DATA, the folders beside and in the current folder and the
// repository around it, the download cache, the system's package.
std::vector<std::filesystem::path> search_folders(const DatasetInfo& info, const std::string& root);

// The first of these folders that has all the files of `need`, and not those of another data set.
using Parts = std::initializer_list<Part>;
std::optional<DataFiles> find_files(const DatasetInfo& info, const std::string& root, Parts need);

// The same; a data set that is not there is an error that lists every place and the mend.
DataFiles locate_files(const DatasetInfo& info, const std::string& root, Parts need);

// The names of the files of `need` that are not there, with commas between; empty when all are.
std::string missing_files(const DataFiles& files, Parts need);

// Half a sentence: what to do about a damaged file of `info` in `folder`.
std::string mend_for(const DatasetInfo& info,
                     const std::string& root,
                     const std::filesystem::path& folder);

}  // namespace lamina
