// SPDX-License-Identifier: Apache-2.0
#include "engine/data/cifar.h"

#include <algorithm>

#include "engine/core/error.h"

namespace lamina {
namespace {

// CIFAR-100's training file, the largest, has 154 MB. Bounds what a small gzip can unpack to.
constexpr std::size_t kMostBytes = std::size_t{1} << 30;

std::vector<std::uint8_t> read_whole(const std::filesystem::path& path, const std::string& mend) {
  ByteReader reader(path, mend);
  constexpr std::size_t kFirstBlock = std::size_t{1} << 20;
  std::vector<std::uint8_t> bytes;
  while (true) {
    const std::size_t before = bytes.size();
    // One byte more than the file has shows its end without a second growth.
    bytes.resize(before > 0         ? 2 * before
                 : reader.is_gzip() ? kFirstBlock
                                    : std::min<std::uint64_t>(reader.file_bytes(), kMostBytes) + 1);
    const std::size_t count = reader.read(std::span(bytes).subspan(before));
    if (before + count > kMostBytes)
      fail("'{}' holds more than {} bytes, and no file of CIFAR does; {}.",
           path.string(),
           kMostBytes,
           mend);
    if (before + count < bytes.size()) {
      bytes.resize(before + count);
      return bytes;
    }
  }
}

}  // namespace

std::vector<std::uint8_t> read_cifar_records(const std::filesystem::path& path,
                                             std::int64_t label_bytes,
                                             const std::string& mend) {
  std::vector<std::uint8_t> bytes = read_whole(path, mend);
  const std::string name = path.string();
  if (bytes.empty()) fail("'{}' holds no bytes; {}.", name, mend);
  if (is_cifar_pickle(bytes)) return cifar_records_of_pickle(name, bytes, label_bytes, mend);
  const std::int64_t record = label_bytes + kCifarPixels;
  if (const std::int64_t rest = std::ssize(bytes) % record; rest != 0)
    fail("'{}' is cut short or no file of CIFAR: record {} has {} bytes, where each has {}{}; {}.",
         name,
         std::ssize(bytes) / record,
         rest,
         record,
         bytes[0] == '<' ? ", and it begins like a web page" : "",
         mend);
  return bytes;
}

std::vector<std::string> read_cifar_names(const std::filesystem::path& path) {
  const std::vector<std::uint8_t> bytes = read_whole(path, kReplaceFile);
  if (is_cifar_pickle(bytes)) return cifar_names_of_pickle(path.string(), bytes);
  std::vector<std::string> names(1);
  for (std::uint8_t byte : bytes) {
    if (byte == '\n') {
      names.emplace_back();
    } else if (byte >= ' ') {  // the published files end lines in either way
      names.back() += static_cast<char>(byte);
    }
  }
  std::erase(names, "");
  return names;
}

}  // namespace lamina
