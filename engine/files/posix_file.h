// Files by descriptor, with errors as sentences. For the .cpp files of engine/files.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

namespace lamina {

// An open file. Errors of close() matter to writers, so they call it themselves.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }  // the caller closes it
  bool close() { return ::close(std::exchange(fd_, -1)) == 0 || errno == EINTR; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

// Calls a POSIX function again as long as a signal interrupts it.
template <class Call>
auto retry(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Throws "cannot write 'a/b': No space left on device; free some space or ...". The action is the
// verb of the sentence; "read" changes the mend of a missing file.
[[noreturn]] void fail_errno(std::string_view action, const std::filesystem::path& path, int code);

// Null with errno set when it fails. New files get the permissions that the umask leaves.
Descriptor open_file(const std::filesystem::path& path, int flags);

// Opens a file of tensors for reading; throws a failure unless it is a regular file. `bytes`
// receives its length.
Descriptor open_regular_file(const std::filesystem::path& path, std::uint64_t& bytes);

// False with errno set when it fails.
bool write_all(int fd, std::span<const std::byte> bytes);

// Fills `bytes` from the position of the file; fewer bytes are read only at its end. Returns the
// number read, or -1 with errno set.
std::ptrdiff_t read_all(int fd, std::span<std::byte> bytes);

// The same at a place of the file, whose position they leave alone; for several threads at a time.
bool write_all_at(int fd, std::uint64_t offset, std::span<const std::byte> bytes);
std::ptrdiff_t read_all_at(int fd, std::uint64_t offset, std::span<std::byte> bytes);

}  // namespace lamina
