// SPDX-License-Identifier: Apache-2.0
#include "engine/data/byte_reader.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <system_error>

#include "engine/core/error.h"

namespace lamina {
namespace {

constexpr std::uint8_t kGzipMagic[] = {0x1f, 0x8b};
// A deflate code of 2 bits yields at most 258 bytes.
constexpr std::uint64_t kBestDeflateRatio = 1032;

[[noreturn]] void fail_read(const ByteReader& reader, int code) {
  const std::string reason = std::generic_category().message(code);
  throw Error(ErrorKind::failure,
              fmt::format("cannot read '{}': {}; check the path and its permissions.",
                          reader.path().string(),
                          reason),
              {"", "", 0, "POSIX", code, reason});
}

}  // namespace

// zlib keeps a pointer to its z_stream, so this must not move.
struct ByteReader::Inflater {
  Inflater() {
    constexpr int kGzipOnly = 15 + 16;  // the widest window, and a gzip header is required
    if (inflateInit2(&stream, kGzipOnly) != Z_OK)
      fail("zlib {} cannot start: no memory, or another version than the one built against.",
           zlibVersion());
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream stream{};
  std::array<std::uint8_t, std::size_t{1} << 16> input{};
  bool done = false;
};

ByteReader::ByteReader(const std::filesystem::path& path, std::string mend, Mode mode)
    : path_(path), mend_(std::move(mend)) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (error) fail_read(*this, error.value());
  if (!std::filesystem::is_regular_file(status))
    fail("cannot read '{}': it is not a regular file; {}.", path.string(), mend_);
  file_.reset(std::fopen(path.c_str(), "rbe"));
  if (!file_) fail_read(*this, errno);
  file_bytes_ = std::filesystem::file_size(path, error);
  if (error) fail_read(*this, error.value());
  if (mode == Mode::as_stored) return;

  std::uint8_t magic[sizeof kGzipMagic];
  const std::size_t count = read_file(magic);
  std::rewind(file_.get());
  if (count == sizeof magic && magic[0] == kGzipMagic[0] && magic[1] == kGzipMagic[1])
    inflater_ = std::make_unique<Inflater>();
}

ByteReader::~ByteReader() = default;

std::uint64_t ByteReader::most_bytes() const {
  if (!is_gzip()) return file_bytes_;
  const std::uint64_t limit = std::numeric_limits<std::uint64_t>::max() / kBestDeflateRatio;
  return file_bytes_ > limit ? limit : file_bytes_ * kBestDeflateRatio;
}

std::size_t ByteReader::read(std::span<std::uint8_t> out) {
  return is_gzip() ? inflate_some(out) : read_file(out);
}

std::size_t ByteReader::read_file(std::span<std::uint8_t> out) {
  const std::size_t count = std::fread(out.data(), 1, out.size(), file_.get());
  if (count < out.size() && std::ferror(file_.get())) fail_read(*this, errno);
  return count;
}

std::size_t ByteReader::inflate_some(std::span<std::uint8_t> out) {
  z_stream& stream = inflater_->stream;
  std::size_t filled = 0;
  while (filled < out.size() && !inflater_->done) {
    if (stream.avail_in == 0) {
      stream.next_in = inflater_->input.data();
      stream.avail_in = static_cast<uInt>(read_file(inflater_->input));
      if (stream.avail_in == 0)
        fail("'{}' is cut short: its {} bytes end in the middle of the gzip stream; {}.",
             path_.string(),
             file_bytes_,
             mend_);
    }
    const std::size_t room =
        std::min<std::size_t>(out.size() - filled, std::numeric_limits<uInt>::max());
    stream.next_out = out.data() + filled;
    stream.avail_out = static_cast<uInt>(room);
    const int code = inflate(&stream, Z_NO_FLUSH);
    filled += room - stream.avail_out;
    if (code == Z_STREAM_END) {
      // Several gzip members in a row are one stream (RFC 1952); anything else is not ours.
      if (stream.avail_in == 0) {
        stream.next_in = inflater_->input.data();
        stream.avail_in = static_cast<uInt>(read_file(inflater_->input));
      }
      if (stream.avail_in == 0) {
        inflater_->done = true;
      } else if (stream.next_in[0] != kGzipMagic[0]) {
        fail("'{}' has bytes behind the end of its gzip stream; {}.", path_.string(), mend_);
      } else {
        inflateReset(&stream);
      }
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      const std::string reason = stream.msg != nullptr ? stream.msg : zError(code);
      throw Error(ErrorKind::failure,
                  fmt::format("'{}' is damaged: its gzip stream does not inflate ({}); {}.",
                              path_.string(),
                              reason,
                              mend_),
                  {"", "", 0, "zlib", code, reason});
    }
  }
  return filled;
}

}  // namespace lamina
