// Unpacking the published files of a data set out of a tar file (libarchive).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "engine/data/registry.h"

namespace lamina {

// Writes `inner`/NAME of the archive to `folder`/NAME for each of `files`, each whole or not at
// all, and only with the published content. Nothing else is taken out of the archive, whatever it
// holds and however its entries are called. Throws a failure that names the archive and the file.
void unpack_files(const std::filesystem::path& archive,
                  const std::string& inner,
                  std::span<const PublishedFile> files,
                  const std::filesystem::path& folder);

}  // namespace lamina
