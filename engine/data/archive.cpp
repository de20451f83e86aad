// SPDX-License-Identifier: Apache-2.0
#include "engine/data/archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/handle.h"
#include "engine/data/sha256.h"
#include "engine/files/atomic_file.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

class Unpacker {
 public:
  explicit Unpacker(const fs::path& path) : path_(path), handle_(archive_read_new()) {
    if (!handle_) fail("libarchive cannot start: no memory.");
    archive* reader = handle_.get();
    archive_read_support_filter_gzip(reader);
    archive_read_support_format_tar(reader);
    constexpr std::size_t kBlock = std::size_t{1} << 18;
    check(archive_read_open_filename(reader, path.c_str(), kBlock));
  }

  // The next entry; null at the end.
  archive_entry* next() {
    archive_entry* entry = nullptr;
    const int code = archive_read_next_header(handle_.get(), &entry);
    if (code == ARCHIVE_EOF) return nullptr;
    check(code);
    return entry;
  }

  std::vector<std::uint8_t> content(archive_entry* entry, const PublishedFile& file) {
    if (archive_entry_filetype(entry) != AE_IFREG ||
        archive_entry_size(entry) != file.content_bytes)
      fail(
          "'{}' in '{}' is no file of the {} bytes that are published; move the archive away and "
          "download it again.",
          file.name,
          path_.string(),
          file.content_bytes);
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(file.content_bytes));
    std::size_t filled = 0;
    while (filled < bytes.size()) {
      const la_ssize_t count =
          archive_read_data(handle_.get(), bytes.data() + filled, bytes.size() - filled);
      if (count <= 0) check(count < 0 ? static_cast<int>(count) : ARCHIVE_FATAL);
      filled += static_cast<std::size_t>(count);
    }
    return bytes;
  }

 private:
  void check(int code) {
    if (code == ARCHIVE_OK || code == ARCHIVE_WARN) return;
    const char* said = archive_error_string(handle_.get());
    const std::string reason = said != nullptr ? said : "it ends too early";
    throw Error(ErrorKind::failure,
                fmt::format("'{}' cannot be unpacked ({}); move it away and download it again.",
                            path_.string(),
                            reason),
                {"", "", 0, "libarchive", code, reason});
  }

  const fs::path& path_;
  Handle<archive*, &archive_read_free> handle_;
};

}  // namespace

void unpack_files(const fs::path& archive,
                  const std::string& inner,
                  std::span<const PublishedFile> files,
                  const fs::path& folder) {
  std::vector<const PublishedFile*> missing;
  for (const PublishedFile& file : files) missing.push_back(&file);
  Unpacker unpacker(archive);
  while (!missing.empty()) {
    archive_entry* entry = unpacker.next();
    if (entry == nullptr)
      fail("'{}' holds no '{}/{}'; move it away and download it again.",
           archive.string(),
           inner,
           missing.front()->name);
    const char* said = archive_entry_pathname(entry);  // null where it cannot be converted
    const std::string name = said != nullptr ? said : "";
    const auto wanted = std::find_if(missing.begin(), missing.end(), [&](const auto* file) {
      return name == inner + "/" + file->name;
    });
    if (wanted == missing.end()) continue;
    const PublishedFile& file = **wanted;
    const std::vector<std::uint8_t> bytes = unpacker.content(entry, file);
    if (const std::string sum = sha256_of(bytes); sum != file.content_sha256)
      fail(
          "'{}' in '{}' has SHA-256 {}, where {} is published; move the archive away and download "
          "it again.",
          file.name,
          archive.string(),
          sum,
          file.content_sha256);
    write_file_atomically(folder / file.name,
                          {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    missing.erase(wanted);
  }
}

}  // namespace lamina
