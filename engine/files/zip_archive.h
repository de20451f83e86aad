// A zip archive whose entries are stored as they are, as torch.save writes them. libzip reads it.
//
// Compressed entries are refused, and all entries together must fit into the file: no size that the
// archive claims can then make anyone take more memory than the file is long.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

struct zip;

namespace lamina {

// Every function throws a failure that names the file when the archive is damaged.
class ZipArchive {
 public:
  explicit ZipArchive(const std::filesystem::path& path);

  struct Entry {
    std::uint64_t index = 0, bytes = 0;
  };
  const std::unordered_map<std::string, Entry>& entries() const { return entries_; }
  const Entry* find(const std::string& name) const;  // null when absent
  // The content, its checksum compared.
  std::vector<std::byte> read(const std::string& name) const;

  const std::string& file() const { return file_; }  // for messages
  std::uint64_t file_bytes() const { return file_bytes_; }

 private:
  struct Discard {
    void operator()(struct zip* archive) const;
  };

  std::string file_;
  std::uint64_t file_bytes_ = 0;
  std::unique_ptr<struct zip, Discard> archive_;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace lamina
