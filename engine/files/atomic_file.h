// Files that are whole or absent: what a killed process, a full disk or a power cut leaves behind.
//
// Every function throws a failure in one sentence that names the path, the reason and the mend.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lamina {

// Replaces `path` by the concatenated pieces: writes them to `<path>.tmp` beside it, syncs, renames
// and syncs the folder. A reader sees the old file or the new one; on an error the old one is
// intact and the temporary gone. What a kill leaves of a temporary, the next write takes over.
// Several writers of one path take turns. A symbolic link is followed; a device or a pipe is
// written directly.
void write_file_atomically(const std::filesystem::path& path,
                           std::span<const std::span<const std::byte>> pieces);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// The same for a file that is made piece by piece: at `path` only once commit() returned. Pieces
// may be written and read by several threads at a time, each at its own place.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();  // removes what was not committed
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  void read_at(std::uint64_t offset, std::span<std::byte> bytes) const;  // that were written
  void commit(std::uint64_t file_bytes);                                 // cuts off the rest

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Adds `text` at the end of the file and syncs; creates the file. On an error, the file keeps its
// former length.
void append_to_file(const std::filesystem::path& path, std::string_view text);

std::string read_text_file(const std::filesystem::path& path);

// Creates the folder with its parents, and makes sure that files can be created in it.
void make_folder(const std::filesystem::path& path);

}  // namespace lamina
