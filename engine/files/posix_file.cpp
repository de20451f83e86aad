// SPDX-License-Identifier: Apache-2.0
#include "engine/files/posix_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <system_error>

#include "engine/core/error.h"

namespace lamina {
namespace {

std::string_view mend(int code, bool reading) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return "free some space or choose a folder on another disk";
    case EFBIG:
      return "raise the limit on file sizes (ulimit -f) or choose another file system";
    case EACCES:
    case EPERM:
    case EROFS:
      return "change its permissions or choose another path";
    case ENOENT:
      return reading ? "check the path" : "create its folder first";
    case ENOTDIR:
      return "a part of the path is a file where a folder should be";
    case EISDIR:
      return "name a file in this folder instead";
    case ENAMETOOLONG:
    case ELOOP:
      return "choose another path";
    default:
      return "check the disk and try again";
  }
}

}  // namespace

void fail_errno(std::string_view action, const std::filesystem::path& path, int code) {
  const std::string reason = std::generic_category().message(code);
  throw Error(
      ErrorKind::failure,
      fmt::format(
          "cannot {} '{}': {}; {}.", action, path.string(), reason, mend(code, action == "read")),
      {"", "", 0, "POSIX", code, reason});
}

Descriptor open_file(const std::filesystem::path& path, int flags) {
  return Descriptor(retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); }));
}

Descriptor open_regular_file(const std::filesystem::path& path, std::uint64_t& bytes) {
  Descriptor fd = open_file(path, O_RDONLY);
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) fail_errno("read", path, errno);
  if (S_ISDIR(status.st_mode)) fail_errno("read", path, EISDIR);
  if (!S_ISREG(status.st_mode)) {
    fail("cannot read '{}': it is no regular file; save the tensors to one first.", path.string());
  }
  bytes = static_cast<std::uint64_t>(status.st_size);
  return fd;
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = retry([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (count < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

std::ptrdiff_t read_all(int fd, std::span<std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count =
        retry([&] { return ::read(fd, bytes.data() + done, bytes.size() - done); });
    if (count < 0) return -1;
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return static_cast<std::ptrdiff_t>(done);
}

bool write_all_at(int fd, std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto count =
        retry([&] { return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (count < 0) return false;
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

std::ptrdiff_t read_all_at(int fd, std::uint64_t offset, std::span<std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto count = retry([&] {
      return ::pread(
          fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    });
    if (count < 0) return -1;
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return static_cast<std::ptrdiff_t>(done);
}

}  // namespace lamina
