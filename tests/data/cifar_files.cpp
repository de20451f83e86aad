// SPDX-License-Identifier: Apache-2.0
#include "tests/data/cifar_files.h"

#include <cstdio>

#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

std::string little_endian(std::size_t value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

std::string pickled_labels(const std::string& records, std::size_t record, std::size_t at) {
  std::string text = "](";
  for (std::size_t i = at; i < records.size(); i += record) text += std::string("K") + records[i];
  return text + "e";
}

}  // namespace

std::uint8_t cifar_pixel(int label, int c, int y, int x) {
  return static_cast<std::uint8_t>(31 * label + 80 * c + 5 * y + x);
}

std::string cifar_records(int count, int label_bytes, int first) {
  std::string bytes;
  for (int i = first; i < first + count; ++i) {
    const int label = i % (label_bytes == 1 ? 10 : 100);
    if (label_bytes == 2) bytes += static_cast<char>(label / 5);
    bytes += static_cast<char>(label);
    for (int c = 0; c < 3; ++c) {
      for (int y = 0; y < 32; ++y) {
        for (int x = 0; x < 32; ++x) bytes += static_cast<char>(cifar_pixel(label, c, y, x));
      }
    }
  }
  return bytes;
}

std::string pickled_text(const std::string& text) {
  return "U" + little_endian(text.size(), 1) + text;
}

std::string pickled_array(const std::string& rows_and_columns,
                          const std::string& bytes,
                          const std::string& type,
                          bool fortran) {
  using namespace std::string_literals;
  return "cnumpy.core.multiarray\n_reconstruct\nq\x01"s + "cnumpy\nndarray\nK\x00\x85"s +
         pickled_text("b") + "\x87R("s + "K\x01" + rows_and_columns + "\x86" + "cnumpy\ndtype\n" +
         pickled_text(type) + "K\x00K\x01\x87R("s + "K\x03" + pickled_text("|") +
         "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"s + (fortran ? "\x88" : "\x89") + "T" +
         little_endian(bytes.size(), 4) + bytes + "tb";
}

std::string cifar_pickle(const std::string& records, int label_bytes) {
  const std::size_t record = static_cast<std::size_t>(label_bytes) + 3072;
  std::string rows;
  for (std::size_t i = 0; i < records.size(); i += record)
    rows += records.substr(i + record - 3072, 3072);
  std::string text = "\x80\x02}(" + pickled_text("batch_label") + pickled_text("batch 1 of 1");
  if (label_bytes == 2)
    text += pickled_text("coarse_labels") + pickled_labels(records, record, 0) +
            pickled_text("fine_labels") + pickled_labels(records, record, 1);
  else
    text += pickled_text("labels") + pickled_labels(records, record, 0);
  return text + pickled_text("data") +
         pickled_array(
             "J" + little_endian(records.size() / record, 4) + "M" + little_endian(3072, 2), rows) +
         "u.";
}

std::string cifar_meta(const std::string& key, const std::vector<std::string>& names) {
  std::string text = "\x80\x02}" + pickled_text(key) + "](";
  for (const std::string& name : names) text += pickled_text(name);
  return text + "es.";
}

void put_cifar10(const std::filesystem::path& folder, int train, int test) {
  std::filesystem::create_directories(folder);
  for (int i = 0; i < 5; ++i)
    put(folder / ("data_batch_" + std::to_string(i + 1) + ".bin"),
        cifar_records(train, 1, i * train));
  put(folder / "test_batch.bin", cifar_records(test));
}

std::string tar(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string bytes;
  for (const auto& [entry, content] : entries) {
    const bool link = entry.ends_with('@');
    const std::string name = link ? entry.substr(0, entry.size() - 1) : entry;
    std::string header(512, '\0');
    const auto set = [&](std::size_t at, const std::string& text) {
      header.replace(at, text.size(), text);
    };
    char size[12];
    std::snprintf(size, sizeof size, "%011zo", link ? 0 : content.size());
    set(0, name);
    set(100, "0000644");
    set(108, "0000000");
    set(116, "0000000");
    set(124, size);
    set(136, "00000000000");
    set(148, "        ");
    set(156, link ? "2" : "0");
    if (link) set(157, content);
    set(257, std::string("ustar\0", 6) + "00");
    unsigned sum = 0;
    for (char c : header) sum += static_cast<unsigned char>(c);
    char checksum[8];
    std::snprintf(checksum, sizeof checksum, "%06o", sum);
    set(148, checksum);
    bytes += header;
    if (!link) bytes += content + std::string((512 - content.size() % 512) % 512, '\0');
  }
  return bytes + std::string(1024, '\0');
}

}  // namespace lamina
