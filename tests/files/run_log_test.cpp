// SPDX-License-Identifier: Apache-2.0
#include "engine/train/run_log.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

constexpr std::string_view kHeader =
    "epoch,step,train_loss,train_acc,train_acc5,val_loss,val_acc,val_acc5,lr,seconds,"
    "images_per_second,data_wait\n";

EpochRow row(int epoch) {
  return {.epoch = epoch,
          .step = 750 * epoch,
          .train_loss = 1.0 / (3 * epoch),
          .train_acc = 1 - 0.1 / epoch,
          .train_acc5 = 0.96875,
          .val_loss = 0.1 + 0.2,
          .val_acc = 0.75,
          .val_acc5 = 0.875,
          .has_val = true,
          .lr = 1e-4,
          .seconds = 12.3456789,
          .images_per_second = 3888.88,
          .data_wait = 0.0123};
}

void expect_equal(const EpochRow& a, const EpochRow& b) {
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.train_loss, b.train_loss);
  EXPECT_EQ(a.train_acc, b.train_acc);
  EXPECT_EQ(a.has_val, b.has_val);
  EXPECT_EQ(a.val_loss, b.val_loss);
  EXPECT_EQ(a.val_acc, b.val_acc);
  EXPECT_EQ(a.train_acc5, b.train_acc5);
  EXPECT_EQ(a.val_acc5, b.val_acc5);
  EXPECT_EQ(a.lr, b.lr);
  EXPECT_NEAR(a.seconds, b.seconds, 5e-4);
  EXPECT_NEAR(a.images_per_second, b.images_per_second, 0.05);
}

TEST(run_log, writes_both_files_row_by_row) {
  const TempFolder folder;
  RunLog log(folder.path(), 0);
  EXPECT_EQ(bytes_in(folder / "log.csv"), kHeader);
  EXPECT_EQ(bytes_in(folder / "log.jsonl"), "");
  EpochRow unvalidated = row(2);
  unvalidated.has_val = false;
  log.append(row(1));
  log.append(unvalidated);
  EXPECT_EQ(bytes_in(folder / "log.csv"),
            std::string(kHeader) +
                "1,750,0.3333333333333333,0.9,0.96875,0.30000000000000004,0.75,0.875,0.0001,"
                "12.346,3888.9,0.012\n"
                "2,1500,0.16666666666666666,0.95,0.96875,,,,0.0001,12.346,3888.9,0.012\n");
  const std::string lines = bytes_in(folder / "log.jsonl");
  const std::size_t end = lines.find('\n');
  const auto first = nlohmann::json::parse(lines.substr(0, end));
  const auto second = nlohmann::json::parse(lines.substr(end + 1));
  EXPECT_EQ(first["epoch"], 1);
  EXPECT_EQ(first["step"], 750);
  EXPECT_EQ(first["val_loss"], 0.1 + 0.2);
  EXPECT_EQ(first["lr"], 1e-4);
  EXPECT_EQ(first.size(), 12u);
  EXPECT_TRUE(second["val_loss"].is_null());
  EXPECT_EQ(second["train_loss"], 1.0 / 6);
  EXPECT_EQ(log.rows().size(), 2u);
}

TEST(run_log, starts_over_with_zero) {
  const TempFolder folder;
  RunLog(folder.path(), 0).append(row(1));
  const RunLog log(folder.path(), 0);
  EXPECT_TRUE(log.rows().empty());
  EXPECT_EQ(bytes_in(folder / "log.csv"), kHeader);
  EXPECT_EQ(bytes_in(folder / "log.jsonl"), "");
}

TEST(run_log, drops_the_rows_beyond_the_checkpoint) {
  const TempFolder folder;
  std::string csv_of_two, jsonl_of_two;
  {
    RunLog log(folder.path(), 0);
    for (int epoch = 1; epoch <= 4; ++epoch) {
      log.append(row(epoch));
      if (epoch == 2) csv_of_two = bytes_in(folder / "log.csv");
      if (epoch == 2) jsonl_of_two = bytes_in(folder / "log.jsonl");
    }
  }
  RunLog log(folder.path(), 2);
  EXPECT_EQ(bytes_in(folder / "log.csv"), csv_of_two);
  EXPECT_EQ(bytes_in(folder / "log.jsonl"), jsonl_of_two);
  ASSERT_EQ(log.rows().size(), 2u);
  expect_equal(log.rows()[0], row(1));
  expect_equal(log.rows()[1], row(2));
  log.append(row(3));
  EXPECT_EQ(RunLog(folder.path(), 9).rows().size(), 3u);
}

TEST(run_log, keeps_values_that_are_no_numbers) {
  const TempFolder folder;
  EpochRow bad = row(1);
  bad.train_loss = std::nan("");
  bad.val_loss = std::numeric_limits<double>::infinity();
  RunLog(folder.path(), 0).append(bad);
  const auto json = nlohmann::json::parse(bytes_in(folder / "log.jsonl"));
  EXPECT_TRUE(json["train_loss"].is_null());
  const RunLog log(folder.path(), 1);
  ASSERT_EQ(log.rows().size(), 1u);
  EXPECT_TRUE(std::isnan(log.rows()[0].train_loss));
  EXPECT_TRUE(log.rows()[0].has_val);
  EXPECT_TRUE(std::isinf(log.rows()[0].val_loss));
}

TEST(run_log, discards_a_partial_last_line) {
  const TempFolder folder;
  {
    RunLog log(folder.path(), 0);
    log.append(row(1));
    log.append(row(2));
  }
  const std::string whole = bytes_in(folder / "log.csv");
  const std::size_t second = whole.find("\n2,") + 1;
  // Also where the rest would parse, and in the header.
  for (const std::size_t size : {std::size_t{0},
                                 kHeader.size() - 9,
                                 kHeader.size() - 1,
                                 kHeader.size(),
                                 second - 1,
                                 second,
                                 second + 1,
                                 second + 30,
                                 whole.size() - 2,
                                 whole.size() - 1}) {
    put(folder / "log.csv", whole.substr(0, size));
    EXPECT_EQ(RunLog(folder.path(), 9).rows().size(), size < second ? 0u : 1u) << size;
    EXPECT_EQ(bytes_in(folder / "log.csv"), size < second ? kHeader : whole.substr(0, second));
  }
}

TEST(run_log, goes_on_without_a_log) {
  const TempFolder folder;
  RunLog log(folder.path(), 3);
  EXPECT_TRUE(log.rows().empty());
  log.append(row(4));
  EXPECT_EQ(RunLog(folder.path(), 4).rows().size(), 1u);
}

TEST(run_log, names_the_damaged_line) {
  const TempFolder folder;
  const std::string good = "1,750,0.3,0.9,1,,,,0.0001,12.346,3888.9,0\n";
  const char* const bad_lines[] = {"2,1500,abc,0.9,1,,,,0.0001,12.346,3888.9,0\n",
                                   "2,1500,0.3,0.9,1,,,,0.0001,12.346,3888.9\n",
                                   "2,1500,0.3,0.9,1,,,,0.0001,12.346,3888.9,0,7\n",
                                   "2,1500,0.3,0.9,1,0.5,,,0.0001,12.346,3888.9,0\n",
                                   "2,1500,0.3,0.9,1,,0.5,,0.0001,12.346,3888.9,0\n",
                                   "2.5,1500,0.3,0.9,1,,,,0.0001,12.346,3888.9,0\n",
                                   "1,1500,0.3,0.9,1,,,,0.0001,12.346,3888.9,0\n",
                                   "\n",
                                   "2,1500,0.3 ,0.9,1,,,,0.0001,12.346,3888.9,0\n"};
  for (const char* bad : bad_lines) {
    const std::string text = std::string(kHeader) + good + bad;
    put(folder / "log.csv", text);
    EXPECT_EQ(
        failure_of([&] { RunLog(folder.path(), 9); }),
        "'" + (folder / "log.csv").string() +
            "' is damaged in line 3; mend the line or remove the file to log without the past.")
        << bad;
    EXPECT_EQ(bytes_in(folder / "log.csv"), text) << "the damaged file was overwritten";
  }
  put(folder / "log.csv", "some,other,table\n1,2,3\n");
  expect_contains(failure_of([&] { RunLog(folder.path(), 9); }), "is damaged in line 1;");
}

TEST(run_log, names_a_missing_folder) {
  const TempFolder folder;
  expect_contains(failure_of([&] { RunLog(folder / "none", 0); }),
                  "none/log.csv': No such file or directory; create its folder first.");
}

TEST(run_log, leaves_whole_lines_when_killed) {
  const TempFolder folder;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      RunLog log(folder.path(), 0);
      for (int epoch = 1;; ++epoch) log.append(row(epoch));
    }
    usleep(10'000 + 7'000 * attempt);
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    const std::string csv = bytes_in(folder / "log.csv"), jsonl = bytes_in(folder / "log.jsonl");
    EXPECT_TRUE(csv.empty() || csv.back() == '\n');
    EXPECT_TRUE(jsonl.empty() || jsonl.back() == '\n');
    const RunLog log(folder.path(), std::numeric_limits<int>::max());
    for (std::size_t i = 0; i < log.rows().size(); ++i) EXPECT_EQ(log.rows()[i].epoch, int(i + 1));
  }
}

}  // namespace
}  // namespace lamina
