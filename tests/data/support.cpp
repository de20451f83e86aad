// SPDX-License-Identifier: Apache-2.0
#include "tests/data/support.h"

#include <zlib.h>

#include "engine/data/sha256.h"

namespace lamina {

void Environment::set(const char* name, const std::optional<std::string>& value) {
  if (value) {
    setenv(name, value->c_str(), 1);
  } else {
    unsetenv(name);
  }
}

Environment::Environment(const char* name, const std::optional<std::string>& value) : name_(name) {
  if (const char* old = std::getenv(name); old != nullptr) before_ = old;
  set(name, value);
}

Environment::~Environment() { set(name_, before_); }

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::string idx_images(std::uint32_t count,
                       std::uint32_t h,
                       std::uint32_t w,
                       const std::string& pixels) {
  return big_endian(0x803) + big_endian(count) + big_endian(h) + big_endian(w) + pixels;
}

std::string idx_labels(std::uint32_t count, const std::string& labels) {
  return big_endian(0x801) + big_endian(count) + labels;
}

std::string idx_labels(const std::vector<int>& labels) {
  return idx_labels(static_cast<std::uint32_t>(labels.size()),
                    std::string(labels.begin(), labels.end()));
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  std::string input = bytes;
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

void put_small_set(const std::filesystem::path& folder, int train, int test) {
  std::filesystem::create_directories(folder);
  for (const auto& [part, count] : {std::pair("train", train), std::pair("t10k", test)}) {
    std::string pixels, labels;
    for (int i = 0; i < count * 6; ++i) pixels += static_cast<char>(i);
    for (int i = 0; i < count; ++i) labels += static_cast<char>(i % 3);
    const auto size = static_cast<std::uint32_t>(count);
    put(folder / (std::string(part) + "-images-idx3-ubyte"), idx_images(size, 2, 3, pixels));
    put(folder / (std::string(part) + "-labels-idx1-ubyte"), idx_labels(size, labels));
  }
}

PublishedFile published(const std::string& name, const std::string& content) {
  const auto sum = [](const std::string& bytes) {
    return sha256_of(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
  };
  const std::string packed = gzip(content);
  return {name, std::ssize(content), sum(content), {name + ".gz", std::ssize(packed), sum(packed)}};
}

}  // namespace lamina
