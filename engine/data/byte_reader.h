// Reads a file from front to back and inflates it on the way when it is gzip.
//
// The bytes decide, not the name: browsers like to unpack a download and keep its ".gz". Nothing is
// taken on trust: a stream that ends early, a wrong checksum and bytes behind the stream's end are
// failures that name the file, in one sentence that closes with the caller's mend.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace lamina {

inline constexpr const char* kReplaceFile = "replace it by a good copy";

class ByteReader {
 public:
  enum class Mode { inflate, as_stored };

  // `mend` is half a sentence: what to do with this file when it turns out damaged.
  explicit ByteReader(const std::filesystem::path& path,
                      std::string mend = kReplaceFile,
                      Mode mode = Mode::inflate);
  ~ByteReader();
  ByteReader(const ByteReader&) = delete;
  ByteReader& operator=(const ByteReader&) = delete;

  // Fills `out`, or as much of it as there is; less than out.size() means the end. A gzip stream is
  // known to be whole only when its end was reached.
  std::size_t read(std::span<std::uint8_t> out);

  bool is_gzip() const { return inflater_ != nullptr; }
  std::uint64_t file_bytes() const { return file_bytes_; }
  // The most bytes that read() can yield in all: the file's length, or for gzip what deflate could
  // make of it at its best. Memory for a length that a header claims is checked against this first.
  std::uint64_t most_bytes() const;

  const std::filesystem::path& path() const { return path_; }
  const std::string& mend() const { return mend_; }

 private:
  struct Inflater;
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::size_t read_file(std::span<std::uint8_t> out);
  std::size_t inflate_some(std::span<std::uint8_t> out);

  std::filesystem::path path_;
  std::string mend_;
  std::unique_ptr<std::FILE, CloseFile> file_;
  std::uint64_t file_bytes_ = 0;
  std::unique_ptr<Inflater> inflater_;
};

}  // namespace lamina
