// The format is TensorFlow's: records as https://www.tensorflow.org/tutorials/load_data/tfrecord
// frames them, each with an Event of tensorflow/core/util/event.proto and in it a Summary of
// tensorflow/core/framework/summary.proto, encoded as
// https://protobuf.dev/programming-guides/encoding says. Of both only the few fields below are
// needed.
// SPDX-License-Identifier: Apache-2.0
#include "engine/train/tensorboard.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstring>

#include "engine/files/atomic_file.h"

namespace lamina {

namespace {

// A field begins with its number and how its value is written.
enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

template <std::unsigned_integral T>
std::string little_endian(T value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    bytes += static_cast<char>(static_cast<std::uint8_t>(value >> (8 * i)));
  return bytes;
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += static_cast<char>(value % 128 + 128);
  return bytes + static_cast<char>(value);
}

std::string key(std::uint64_t field, Wire wire) {
  return varint(field << 3 | static_cast<std::uint64_t>(wire));
}

std::string bytes_field(std::uint64_t field, std::string_view bytes) {
  return key(field, Wire::bytes) + varint(bytes.size()) + std::string(bytes);
}

// The time comes first in every event, so that its place is known: kTimeAt.
constexpr std::size_t kTimeAt = 1;

std::string event(double time, std::string_view rest) {
  return key(1, Wire::fixed64) + little_endian(std::bit_cast<std::uint64_t>(time)) +
         std::string(rest);
}

std::string version_record(double time) {
  return event_record(event(time, bytes_field(3, "brain.Event:2")));
}

using Scalars = std::vector<std::pair<std::string_view, double>>;  // tag, value

std::string scalars_record(double time, std::int64_t step, const Scalars& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
    summary += bytes_field(1, bytes_field(1, tag) + key(2, Wire::fixed32) + little_endian(bits));
  }
  return event_record(event(
      time,
      key(2, Wire::varint) + varint(static_cast<std::uint64_t>(step)) + bytes_field(5, summary)));
}

std::string row_record(double time, const EpochRow& row) {
  Scalars scalars{{"loss/train", row.train_loss},
                  {"accuracy/train", row.train_acc},
                  {"accuracy_top5/train", row.train_acc5}};
  if (row.has_val) {
    scalars.insert(scalars.end(),
                   {{"loss/val", row.val_loss},
                    {"accuracy/val", row.val_acc},
                    {"accuracy_top5/val", row.val_acc5}});
  }
  scalars.insert(
      scalars.end(),
      {{"lr", row.lr}, {"images_per_second", row.images_per_second}, {"data_wait", row.data_wait}});
  return scalars_record(time, row.step, scalars);
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Before the data of a record stand its length and the checksum of that; behind it, its own.
constexpr std::size_t kBefore = 12, kBehind = 4;

// Gives the records of `text` the times that equal records at the same places of `old` have. Events
// are of one length whatever their time is, so equal runs have their records at equal places.
void keep_times(std::string& text, std::string_view old) {
  for (std::size_t at = 0; at + kBefore < text.size();) {
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < 8; ++i)
      length |= std::uint64_t{static_cast<std::uint8_t>(text[at + i])} << (8 * i);
    const std::size_t size = kBefore + length + kBehind;
    if (old.size() < at + size) return;
    const std::string_view before = old.substr(at, size);
    const std::string_view data = before.substr(kBefore, length);
    const std::size_t timeless = kBefore + kTimeAt + sizeof(double);
    const auto same = [&](std::size_t from, std::size_t to) {
      return before.substr(from, to - from) == std::string_view(text).substr(at + from, to - from);
    };
    if (!same(0, kBefore + kTimeAt) || !same(timeless, kBefore + length) ||
        event_record(data) != before)
      return;
    text.replace(at, size, before);
    at += size;
  }
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t rest = i;
      for (int bit = 0; bit < 8; ++bit) rest = rest % 2 ? rest >> 1 ^ 0x82f63b78U : rest >> 1;
      table[i] = rest;
    }
    return table;
  }();
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : bytes)
    crc = crc >> 8 ^ kTable[(crc ^ static_cast<std::uint8_t>(byte)) % 256];
  return ~crc;
}

std::string event_record(std::string_view data) {
  // Records may hold records: the mask keeps a checksum from meeting itself.
  const auto masked = [](std::string_view bytes) {
    return little_endian(std::rotr(crc32c(bytes), 15) + 0xa282ead8U);
  };
  const std::string length = little_endian(std::uint64_t{data.size()});
  return length + masked(length) + std::string(data) + masked(data);
}

double first_event_time(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return 0;
  const std::string text = read_text_file(path);
  const std::string expected = version_record(0);
  // In front of the event: its length and the checksum of that.
  constexpr std::size_t kBefore = 8 + 4 + kTimeAt;
  if (text.size() < expected.size() || text.compare(0, kBefore, expected, 0, kBefore) != 0)
    return 0;
  double time = 0;
  std::memcpy(&time, text.data() + kBefore, sizeof time);
  return std::isfinite(time) ? time : 0;
}

EventFile::EventFile(const std::filesystem::path& path,
                     const std::vector<EpochRow>& rows,
                     const StepLosses& losses)
    : path_(path), last_time_(now()) {
  std::string text = version_record(last_time_);
  for (const EpochRow& row : rows) {
    text += new_losses(losses, row.step);
    text += row_record(last_time_, row);
  }
  if (!losses.empty()) text += new_losses(losses, losses.back().first);
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) keep_times(text, read_text_file(path));
  write_file_atomically(path, text);
}

std::string EventFile::new_losses(const StepLosses& losses, std::int64_t last_step) {
  const double begin = last_time_, end = now();
  const std::int64_t before = last_step_;
  auto next = std::upper_bound(
      losses.begin(), losses.end(), before, [](std::int64_t step, const auto& entry) {
        return step < entry.first;
      });
  std::string text;
  for (; next != losses.end() && next->first <= last_step; ++next) {
    // The device is read once an epoch; its steps are taken to be evenly spaced.
    const double share = double(next->first - before) / double(last_step - before);
    text +=
        scalars_record(begin + share * (end - begin), next->first, {{"loss/step", next->second}});
  }
  last_step_ = std::max(before, last_step);
  last_time_ = end;
  return text;
}

void EventFile::append(const StepLosses& losses) {
  if (losses.empty()) return;
  append_to_file(path_, new_losses(losses, losses.back().first));
}

void EventFile::append(const EpochRow& row, const StepLosses& losses) {
  std::string text = new_losses(losses, row.step);
  append_to_file(path_, text + row_record(last_time_, row));
}

}  // namespace lamina
