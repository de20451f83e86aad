// SPDX-License-Identifier: Apache-2.0
#include "engine/train/tensorboard.h"

#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>

#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

using namespace std::string_literals;

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// An event: the time that it begins with, and the bytes behind.
struct Event {
  double time;
  std::string rest;
};

std::vector<Event> events_in(const std::filesystem::path& path) {
  const std::string text = bytes_in(path);
  std::vector<Event> events;
  for (std::size_t at = 0; at < text.size();) {
    std::uint64_t length = 0;
    std::memcpy(&length, &text.at(at + 7) - 7, 8);
    const std::string data = text.substr(at + 12, length);
    EXPECT_EQ(text.substr(at, length + 16), event_record(data)) << at;
    EXPECT_EQ(data.substr(0, 1), "\x09") << "the time is field 1, 64 bits";
    Event event{0, data.substr(9)};
    std::memcpy(&event.time, data.data() + 1, 8);
    events.push_back(event);
    at += length + 16;
  }
  return events;
}

EpochRow row(int epoch, bool validated = true) {
  return {.epoch = epoch,
          .step = 200 * epoch,
          .train_loss = 0.5,
          .train_acc = 0.25,
          .train_acc5 = 1,
          .val_loss = 2,
          .val_acc = 0.125,
          .val_acc5 = 0.75,
          .has_val = validated,
          .lr = 1e-3,
          .seconds = 1,
          .images_per_second = 1536,
          .data_wait = 0};
}

// A loss at the first step and at every fiftieth up to `last`.
StepLosses losses_to(std::int64_t last) {
  StepLosses losses{{1, 2.5}};
  for (std::int64_t step = 50; step <= last; step += 50) losses.emplace_back(step, 100.0 / step);
  return losses;
}

TEST(tensorboard, sums_as_rfc_3720_does) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(tensorboard, frames_records) {
  EXPECT_EQ(event_record("abc"),
            "\x03\0\0\0\0\0\0\0"s
            "\xb0\x99\x49\x0e"s
            "abc"
            "\x6e\x57\xf1\x21"s);
}

// Every byte by hand: tags of fields, lengths, values.
TEST(tensorboard, writes_events) {
  const TempFolder folder;
  const double before = now();
  EventFile file(folder / "events", {}, {});
  EpochRow validated = row(1);
  file.append(validated, {{1, 2.5}});
  file.append(row(2, false), {{1, 2.5}});
  const std::vector<Event> events = events_in(folder / "events");
  ASSERT_EQ(events.size(), 4u);
  for (const Event& event : events) {
    EXPECT_GE(event.time, before);
    EXPECT_LE(event.time, now());
  }
  EXPECT_EQ(events[0].rest,
            "\x1a\x0d"
            "brain.Event:2");
  // Step 1; a summary of 18 bytes; in it a value of 16: the tag, of 9 bytes, and 2.5.
  EXPECT_EQ(events[1].rest, "\x10\x01\x2a\x12\x0a\x10\x0a\x09loss/step\x15\0\0\x20\x40"s);
  const std::string train =
      "\x0a\x11\x0a\x0aloss/train\x15\0\0\0\x3f"
      "\x0a\x15\x0a\x0e"
      "accuracy/train\x15\0\0\x80\x3e"
      "\x0a\x1a\x0a\x13"
      "accuracy_top5/train\x15\0\0\x80\x3f"s;
  const std::string val =
      "\x0a\x0f\x0a\x08loss/val\x15\0\0\0\x40"
      "\x0a\x13\x0a\x0c"
      "accuracy/val\x15\0\0\0\x3e"
      "\x0a\x18\x0a\x11"
      "accuracy_top5/val\x15\0\0\x40\x3f"s;
  const std::string rest =
      "\x0a\x09\x0a\x02lr\x15\x6f\x12\x83\x3a"
      "\x0a\x18\x0a\x11images_per_second\x15\0\0\xc0\x44"
      "\x0a\x10\x0a\x09"
      "data_wait\x15\0\0\0\0"s;
  const std::string summary = train + val + rest;
  ASSERT_EQ(summary.size(), 19u + 23 + 28 + 17 + 21 + 26 + 11 + 26 + 18);
  EXPECT_EQ(events[2].rest, "\x10\xc8\x01\x2a\xbd\x01"s + summary);   // step 200; 189 bytes
  EXPECT_EQ(events[3].rest, "\x10\x90\x03\x2a\x7d"s + train + rest);  // step 400; 125 bytes
}

TEST(tensorboard, goes_on_where_a_run_stopped) {
  const TempFolder folder;
  const auto path = folder / "events";
  std::vector<EpochRow> rows;
  std::string stopped;
  {
    EventFile file(path, {}, {});
    for (int epoch = 1; epoch <= 3; ++epoch) {
      // In epoch 3 the state was saved at step 450.
      if (epoch == 3) file.append(losses_to(450));
      if (epoch == 3) stopped = bytes_in(path);
      file.append(row(epoch), losses_to(200 * epoch));
      rows.push_back(row(epoch));
    }
  }
  const std::string whole = bytes_in(path);
  // Nothing is new: not a byte changes, the times neither; a half record goes.
  EventFile(path, rows, losses_to(600));
  EXPECT_EQ(bytes_in(path), whole);
  put(path, whole + whole.substr(0, 30));
  EventFile(path, rows, losses_to(600));
  EXPECT_EQ(bytes_in(path), whole);
  // Back to the checkpoint of step 450, and on.
  EventFile file(path, {rows[0], rows[1]}, losses_to(450));
  EXPECT_EQ(bytes_in(path), stopped);
  file.append(rows[2], losses_to(600));
  const std::string again = bytes_in(path);
  EXPECT_EQ(again.size(), whole.size());
  const std::vector<Event> events = events_in(path);
  put(path, whole);
  const std::vector<Event> expected = events_in(path);
  ASSERT_EQ(events.size(), 1u + 13 + 3);
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].rest, expected[i].rest) << i;
    EXPECT_LE(events[i > 0 ? i - 1 : 0].time, events[i].time) << i;
  }
}

TEST(tensorboard, mends_a_damaged_file) {
  const TempFolder folder;
  const auto path = folder / "events";
  EventFile(path, {row(1), row(2)}, losses_to(400));
  const std::string whole = bytes_in(path);
  for (const std::size_t at : {0u, 9u, 14u, 25u, 70u, 400u}) {
    std::string damaged = whole;
    damaged.at(at) = static_cast<char>(damaged[at] ^ 1);
    put(path, damaged);
    EventFile(path, {row(1), row(2)}, losses_to(400));
    EXPECT_EQ(events_in(path).size(), 1u + 9 + 2) << at;
  }
}

TEST(tensorboard, keeps_values_that_are_no_numbers) {
  const TempFolder folder;
  EventFile file(folder / "events", {}, {});
  file.append(StepLosses{{1, std::nan("")}});
  EXPECT_EQ(events_in(folder / "events")[1].rest.substr(18), "\0\0\xc0\x7f"s);
}

}  // namespace
}  // namespace lamina
