// Small files of CIFAR-10 and CIFAR-100 for the tests, in both versions, and archives of them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace lamina {

// `count` records of the binary version: labels `first`, first + 1, ... modulo 10 (100 with two
// label bytes, the coarse one being a fifth of it). The pixels follow from label, channel and
// place.
std::string cifar_records(int count, int label_bytes = 1, int first = 0);

// The byte of a pixel of such a record.
std::uint8_t cifar_pixel(int label, int c, int y, int x);

// The same images as Python 2 pickles them with numpy's arrays.
std::string cifar_pickle(const std::string& records, int label_bytes = 1);
// {'label_names': [...]} or with "fine_label_names".
std::string cifar_meta(const std::string& key, const std::vector<std::string>& names);

// Pieces of pickles, to write wrong ones.
std::string pickled_text(const std::string& text);
std::string pickled_array(const std::string& rows_and_columns,
                          const std::string& bytes,
                          const std::string& type = "u1",
                          bool fortran = false);

// All files of CIFAR-10, of `train` records in each of five and `test` in the last.
void put_cifar10(const std::filesystem::path& folder, int train = 2, int test = 3);

// A tar file (ustar) of these names and contents, not compressed. A name that ends in '@' is a
// symbolic link to its content.
std::string tar(const std::vector<std::pair<std::string, std::string>>& entries);

}  // namespace lamina
