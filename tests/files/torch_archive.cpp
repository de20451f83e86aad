// SPDX-License-Identifier: Apache-2.0
#include "tests/files/torch_archive.h"

#include <zip.h>

#include <gtest/gtest.h>

namespace lamina {

void write_zip(const std::filesystem::path& path, const std::vector<ZipEntry>& entries) {
  int code = 0;
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  ASSERT_NE(archive, nullptr) << path << ": " << code;
  for (const ZipEntry& entry : entries) {
    zip_source_t* source = zip_source_buffer(archive, entry.bytes.data(), entry.bytes.size(), 0);
    const zip_int64_t index = zip_file_add(archive, entry.name.c_str(), source, 0);
    ASSERT_GE(index, 0) << entry.name;
    zip_set_file_compression(archive,
                             static_cast<zip_uint64_t>(index),
                             entry.compressed ? ZIP_CM_DEFLATE : ZIP_CM_STORE,
                             0);
  }
  ASSERT_EQ(zip_close(archive), 0) << zip_strerror(archive);
}

std::vector<ZipEntry> zip_entries(const std::filesystem::path& path) {
  std::vector<ZipEntry> entries;
  int code = 0;
  zip_t* archive = zip_open(path.c_str(), ZIP_RDONLY, &code);
  EXPECT_NE(archive, nullptr) << path << ": " << code;
  if (archive == nullptr) return entries;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); ++i) {
    zip_stat_t status;
    zip_stat_index(archive, static_cast<zip_uint64_t>(i), 0, &status);
    ZipEntry entry{status.name, std::string(status.size, '\0')};
    zip_file_t* file = zip_fopen_index(archive, static_cast<zip_uint64_t>(i), 0);
    EXPECT_EQ(zip_fread(file, entry.bytes.data(), status.size),
              static_cast<zip_int64_t>(status.size));
    zip_fclose(file);
    entries.push_back(std::move(entry));
  }
  zip_discard(archive);
  return entries;
}

namespace pickled {
namespace {

std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

}  // namespace

std::string text(std::string_view value) {
  return "X" + little_endian(value.size(), 4) + std::string(value);
}

std::string integer(std::int64_t value) {
  return "\x8a\x08" + little_endian(static_cast<std::uint64_t>(value), 8);
}

std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}

std::string tuple(const std::vector<std::string>& items) {
  std::string bytes = "(";
  for (const std::string& item : items) bytes += item;
  return bytes + "t";
}

std::string integers(const std::vector<std::int64_t>& values) {
  std::vector<std::string> items;
  for (std::int64_t value : values) items.push_back(integer(value));
  return tuple(items);
}

std::string call(const std::string& function, const std::vector<std::string>& arguments) {
  return function + tuple(arguments) + "R";
}

std::string storage(std::string_view type, std::string_view entry, std::int64_t elements) {
  return tuple({text("storage"),
                global("torch", type),
                text(entry),
                text("cpu"),
                integer(elements)}) +
         "Q";
}

std::string tensor(const std::string& storage,
                   std::int64_t offset,
                   const std::vector<std::int64_t>& shape,
                   const std::vector<std::int64_t>& strides) {
  return call(global("torch._utils", "_rebuild_tensor_v2"),
              {storage,
               integer(offset),
               integers(shape),
               integers(strides),
               "\x89",
               call(global("collections", "OrderedDict"), {})});
}

std::string dict(const std::vector<Item>& items) {
  std::string bytes = "}(";
  for (const Item& item : items) bytes += text(item.name) + item.value;
  return bytes + "u";
}

std::string whole(const std::string& body) { return "\x80\x02" + body + "."; }

}  // namespace pickled

std::vector<ZipEntry> torch_entries(const std::string& pickle, std::size_t storage_bytes) {
  std::string bytes;
  for (std::size_t i = 0; i < storage_bytes; ++i) bytes += static_cast<char>(i);
  return {{"archive/data.pkl", pickle}, {"archive/data/0", bytes}, {"archive/version", "3\n"}};
}

}  // namespace lamina
