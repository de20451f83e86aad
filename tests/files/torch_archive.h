// Files like those of torch.save, made piece by piece: sound ones to change, and broken ones.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lamina {

struct ZipEntry {
  std::string name, bytes;
  bool compressed = false;
};
void write_zip(const std::filesystem::path& path, const std::vector<ZipEntry>& entries);
std::vector<ZipEntry> zip_entries(const std::filesystem::path& path);

// Pieces of a pickle of protocol 2; every one pushes one value.
namespace pickled {
std::string text(std::string_view value);
std::string integer(std::int64_t value);
std::string global(std::string_view module, std::string_view name);
std::string tuple(const std::vector<std::string>& items);
std::string integers(const std::vector<std::int64_t>& values);  // a tuple
std::string call(const std::string& function, const std::vector<std::string>& arguments);
std::string storage(std::string_view type, std::string_view entry, std::int64_t elements);
std::string tensor(const std::string& storage,
                   std::int64_t offset,
                   const std::vector<std::int64_t>& shape,
                   const std::vector<std::int64_t>& strides);
struct Item {
  std::string name, value;
};
std::string dict(const std::vector<Item>& items);
std::string whole(const std::string& body);  // with its first and last opcodes
}  // namespace pickled

// An archive of this pickle and one storage "0" of so many bytes: 0, 1, 2, ...
std::vector<ZipEntry> torch_entries(const std::string& pickle, std::size_t storage_bytes);

}  // namespace lamina
