// The files of CIFAR-10 and CIFAR-100, in their binary and in their Python version, as records of
// the binary version: one byte of label (CIFAR-100: a coarse one before the fine one), then 1024
// bytes each of red, green and blue, row by row.
//
// The bytes decide which version a file is. A Python file is a pickle of a dict with "data" and
// "labels" or "fine_labels"; it is read as data, and nothing in it is executed. Plain or gzip.
// Every way in which a file can be wrong is a failure that names it, the record and the mend.
// https://www.cs.toronto.edu/~kriz/cifar.html
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/data/byte_reader.h"

namespace lamina {

inline constexpr std::int64_t kCifarSide = 32, kCifarChannels = 3;
inline constexpr std::int64_t kCifarPixels = kCifarSide * kCifarSide * kCifarChannels;

// `label_bytes` is 1 or 2. At least one record.
std::vector<std::uint8_t> read_cifar_records(const std::filesystem::path& path,
                                             std::int64_t label_bytes,
                                             const std::string& mend = kReplaceFile);

// The names of the classes, from the text of the binary version or the Python version's "meta".
std::vector<std::string> read_cifar_names(const std::filesystem::path& path);

// For the two above: pickled files. `name` is that of the file, for messages.
bool is_cifar_pickle(std::span<const std::uint8_t> bytes);
std::vector<std::uint8_t> cifar_records_of_pickle(const std::string& name,
                                                  std::span<const std::uint8_t> bytes,
                                                  std::int64_t label_bytes,
                                                  const std::string& mend);
std::vector<std::string> cifar_names_of_pickle(const std::string& name,
                                               std::span<const std::uint8_t> bytes);

}  // namespace lamina
