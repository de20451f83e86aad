// What the tests of files share: a folder of their own, raw files, and the error of a call.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "engine/core/error.h"

namespace lamina {

// Removed with all it holds at the end of the test.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "lamina-test-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  int count_files() const {
    int count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path_))
      count += entry.is_directory() ? 0 : 1;
    return count;
  }

 private:
  std::filesystem::path path_;
};

// A device that is always full. For root it is one of the test's own, because a broken writer may
// rename a file over it and root's /dev/full would be gone. Empty where there is none to be had.
inline std::filesystem::path full_device(const TempFolder& folder) {
  std::filesystem::path device = "/dev/full";
  if (geteuid() == 0) {
    device = folder / "full";
    if (mknod(device.c_str(), S_IFCHR | 0600, makedev(1, 7)) != 0) return {};
  }
  const int fd = open(device.c_str(), O_WRONLY);  // fails where devices are not allowed
  if (fd < 0) return {};
  close(fd);
  return device;
}

// Files as plain bytes, by other means than the code under test.
inline void put(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::remove(path);  // some file systems wait for the disk when a file is overwritten
  std::ofstream(path, std::ios::binary) << bytes;
}
inline std::string bytes_in(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The message of the Error that `body` throws, checked to be of `kind` and one sentence.
template <class Body>
std::string error_of(ErrorKind kind, Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), kind) << message;
    EXPECT_FALSE(message.empty());
    EXPECT_TRUE(message.ends_with(".")) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}
template <class Body>
std::string failure_of(Body&& body) {
  return error_of(ErrorKind::failure, body);
}
template <class Body>
std::string request_error_of(Body&& body) {
  return error_of(ErrorKind::request, body);
}

inline void expect_contains(std::string_view text, std::string_view part) {
  EXPECT_NE(text.find(part), std::string_view::npos) << "'" << part << "' is not in: " << text;
}

}  // namespace lamina
