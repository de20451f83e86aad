// SPDX-License-Identifier: Apache-2.0
#include "engine/files/zip_archive.h"

#include <fcntl.h>
#include <zip.h>

#include "engine/files/damage.h"
#include "engine/files/posix_file.h"

namespace lamina {
namespace {

// Throws "'FILE' is damaged: ...", with libzip's code for the developer; takes over the error.
[[noreturn]] void fail_zip(const std::string& file, std::string_view what, zip_error_t& error) {
  const int code = zip_error_code_zip(&error);
  const std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  throw Error(ErrorKind::failure,
              fmt::format("'{}' is damaged: {} ({}); save or download it again.", file, what, text),
              {"", "", 0, "libzip", code, text});
}

struct CloseEntry {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};

}  // namespace

void ZipArchive::Discard::operator()(struct zip* archive) const { zip_discard(archive); }

ZipArchive::ZipArchive(const std::filesystem::path& path) : file_(path.string()) {
  Descriptor fd = open_regular_file(path, file_bytes_);
  int code = 0;
  archive_.reset(zip_fdopen(fd.get(), 0, &code));
  if (!archive_) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    fail_zip(file_, "it is cut off or no zip archive", error);
  }
  fd.release();  // the archive's now

  std::uint64_t total = 0;
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(count); ++i) {
    zip_stat_t status;
    constexpr zip_uint64_t kWanted =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(archive_.get(), i, ZIP_FL_ENC_RAW, &status) != 0 ||
        (status.valid & kWanted) != kWanted)
      fail_damaged(file_, "its entry {} has no name or size", i);
    const std::string name = status.name;
    if (status.comp_method != ZIP_CM_STORE || status.comp_size != status.size) {
      fail(
          "'{}' has a compressed entry '{}', and torch.save compresses nothing; load it in PyTorch "
          "and save it again.",
          file_,
          printable(name));
    }
    if (status.size > file_bytes_ - total) {
      fail_damaged(file_,
                   "its entries up to '{}' claim more bytes than the {} of the file",
                   printable(name),
                   file_bytes_);
    }
    total += status.size;
    if (!entries_.emplace(name, Entry{i, status.size}).second)
      fail_damaged(file_, "it has the entry '{}' twice", printable(name));
  }
}

const ZipArchive::Entry* ZipArchive::find(const std::string& name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? nullptr : &it->second;
}

std::vector<std::byte> ZipArchive::read(const std::string& name) const {
  const Entry* entry = find(name);
  if (entry == nullptr) fail_damaged(file_, "it has no entry '{}'", printable(name));
  const std::unique_ptr<zip_file_t, CloseEntry> source(
      zip_fopen_index(archive_.get(), entry->index, 0));
  if (!source) {
    zip_error_t error = *zip_get_error(archive_.get());
    fail_zip(file_, fmt::format("its entry '{}' cannot be opened", printable(name)), error);
  }
  std::vector<std::byte> bytes(entry->bytes);
  std::size_t done = 0;
  zip_int64_t count = 0;
  do {
    count = zip_fread(source.get(), bytes.data() + done, bytes.size() - done);
    if (count > 0) done += static_cast<std::size_t>(count);
  } while (count > 0 && done < bytes.size());
  // libzip compares the checksum where an entry ends, so its end has to be seen.
  std::byte behind{};
  if (count >= 0) count = zip_fread(source.get(), &behind, 1);
  if (count < 0) {
    zip_error_t error = *zip_file_get_error(source.get());
    fail_zip(file_, fmt::format("its entry '{}' cannot be read", printable(name)), error);
  }
  if (done != bytes.size() || count != 0)
    fail_damaged(file_, "its entry '{}' is not as long as it claims", printable(name));
  return bytes;
}

}  // namespace lamina
