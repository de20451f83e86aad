// SPDX-License-Identifier: Apache-2.0
#include "engine/files/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cstdlib>
#include <system_error>

#include "engine/core/error.h"
#include "engine/files/posix_file.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;
using Pieces = std::span<const std::span<const std::byte>>;

// Far above any text this engine reads; keeps /dev/zero from filling the memory.
constexpr std::size_t kLargestText = std::size_t{1} << 30;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Pipes and some file systems cannot sync, which is no error of the write.
bool sync(int fd) {
  return retry([&] { return ::fsync(fd); }) == 0 || errno == EINVAL || errno == ENOTSUP;
}

bool write_and_sync(int fd, Pieces pieces) {
  for (std::span<const std::byte> piece : pieces) {
    if (!write_all(fd, piece)) return false;
  }
  return sync(fd);
}

// The temporary, empty and locked. Between our open and our lock another writer may have renamed
// or removed it: then the lock is on a file that is no longer ours, and we start again.
Descriptor open_temporary(const fs::path& temporary, const fs::path& path) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    Descriptor file = open_file(temporary, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (!file) fail_errno("write", path, errno);
    // A file system without locks is as safe as a single writer needs.
    retry([&] { return ::flock(file.get(), LOCK_EX); });
    struct stat opened {
    }, named{};
    const bool same = ::fstat(file.get(), &opened) == 0 && ::stat(temporary.c_str(), &named) == 0 &&
                      opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
    if (!same) continue;
    if (::ftruncate(file.get(), 0) != 0) fail_errno("write", path, errno);
    return file;
  }
  fail("cannot write '{}': other programs keep writing it; stop them or choose another path.",
       path.string());
}

// The name of a file lasts only when its folder is on the disk too. A folder that may be searched
// but not read cannot be opened; the file in it is complete all the same.
void sync_folder(const fs::path& folder, const fs::path& path) {
  const Descriptor file = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (file && !sync(file.get())) fail_errno("write", path, errno);
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// Devices and pipes keep their place: renaming over /dev/null would replace it.
void write_directly(const fs::path& path, Pieces pieces) {
  Descriptor file = open_file(path, O_WRONLY);
  if (!file || !write_and_sync(file.get(), pieces) || !file.close())
    fail_errno("write", path, errno);
}

}  // namespace

struct AtomicFile::State {
  fs::path path, target, temporary;
  Descriptor file{-1};
};

AtomicFile::AtomicFile(const fs::path& path) : state_(std::make_unique<State>()) {
  std::error_code ignored;  // a path that cannot be resolved fails below, with its reason
  fs::path target = fs::is_symlink(path, ignored) ? fs::weakly_canonical(path, ignored) : path;
  if (target.empty()) target = path;
  state_->path = path;
  state_->target = state_->temporary = target;
  state_->temporary += ".tmp";
  state_->file = open_temporary(state_->temporary, path);
}

AtomicFile::~AtomicFile() {
  if (state_->file) ::unlink(state_->temporary.c_str());
}

void AtomicFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (!write_all_at(state_->file.get(), offset, bytes)) fail_errno("write", state_->path, errno);
}

void AtomicFile::read_at(std::uint64_t offset, std::span<std::byte> bytes) const {
  const std::ptrdiff_t count = read_all_at(state_->file.get(), offset, bytes);
  if (count != std::ssize(bytes)) fail_errno("read", state_->path, count < 0 ? errno : EIO);
}

void AtomicFile::commit(std::uint64_t file_bytes) {
  State& s = *state_;
  // Renamed while the lock is held; closed after, so that the next writer finds a new temporary.
  if (::ftruncate(s.file.get(), static_cast<off_t>(file_bytes)) != 0 || !sync(s.file.get()) ||
      ::rename(s.temporary.c_str(), s.target.c_str()) != 0)
    fail_errno("write", s.path, errno);
  if (!s.file.close()) fail_errno("write", s.path, errno);
  sync_folder(folder_of(s.target), s.path);
}

void write_file_atomically(const fs::path& path, Pieces pieces) {
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) {
    write_directly(path, pieces);
    return;
  }
  AtomicFile file(path);
  std::uint64_t offset = 0;
  for (std::span<const std::byte> piece : pieces) {
    file.write_at(offset, piece);
    offset += piece.size();
  }
  file.commit(offset);
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  const std::span<const std::byte> pieces[] = {bytes_of(text)};
  write_file_atomically(path, pieces);
}

void append_to_file(const fs::path& path, std::string_view text) {
  Descriptor file = open_file(path, O_WRONLY | O_APPEND | O_CREAT);
  if (!file) fail_errno("append to", path, errno);
  const off_t end = ::lseek(file.get(), 0, SEEK_END);
  if (!write_all(file.get(), bytes_of(text)) || !sync(file.get())) {
    const int code = errno;
    // Best effort: the write has already failed, and that is what the user must hear.
    if (end >= 0 && ::ftruncate(file.get(), end) != 0) errno = code;
    fail_errno("append to", path, code);
  }
  if (!file.close()) fail_errno("append to", path, errno);
}

std::string read_text_file(const fs::path& path) {
  const Descriptor file = open_file(path, O_RDONLY);
  if (!file) fail_errno("read", path, errno);
  std::string text;
  constexpr std::size_t kBlock = 1 << 16;
  while (true) {
    const std::size_t before = text.size();
    text.resize(before + kBlock);
    const std::span block(text.data() + before, kBlock);
    const std::ptrdiff_t count = read_all(file.get(), std::as_writable_bytes(block));
    if (count < 0) fail_errno("read", path, errno);
    text.resize(before + static_cast<std::size_t>(count));
    if (static_cast<std::size_t>(count) < kBlock) return text;
    if (text.size() > kLargestText)
      fail("cannot read '{}': it is longer than 1 GiB; name a text file.", path.string());
  }
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail_errno("create the folder", path, error.value());
  if (!fs::is_directory(path, error)) fail_errno("create the folder", path, ENOTDIR);
  // Permissions do not tell all (read-only mounts, quotas), so a file is created and removed.
  std::string probe = (path / ".lamina-XXXXXX").string();
  const Descriptor file(::mkstemp(probe.data()));
  if (!file) fail_errno("write into the folder", path, errno);
  ::unlink(probe.c_str());
}

}  // namespace lamina
