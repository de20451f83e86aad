// SHA-256 of bytes and files, as lower-case hexadecimal digits.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "engine/data/byte_reader.h"

namespace lamina {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::span<const std::uint8_t> bytes);
  std::string hex();  // once, at the end

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_of(std::span<const std::uint8_t> bytes);
// Of the file as it lies on the disk.
std::string sha256_of_file(const std::filesystem::path& path);

struct ContentSum {
  std::string sha256;
  std::uint64_t bytes = 0;
};
// Of what is in it: inflated when it is gzip. Throws when the stream is damaged.
ContentSum sha256_of_content(const std::filesystem::path& path, std::string mend = kReplaceFile);

}  // namespace lamina
