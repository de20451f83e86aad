// Runs read back from their folders, their table and the page that compares them.
// SPDX-License-Identifier: Apache-2.0
#include "engine/train/saved_run.h"

#include <cmath>

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/files/atomic_file.h"
#include "engine/train/report_runs.h"
#include "engine/train/run_results.h"
#include "engine/train/run_table.h"
#include "engine/train/wilson.h"
#include "tests/files/markup.h"
#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

EpochRow row_of(int epoch, double loss, bool has_val) {
  return {.epoch = epoch,
          .step = 10 * epoch,
          .train_loss = loss,
          .train_acc = 0.5,
          .val_loss = has_val ? loss + 0.125 : 0,
          .val_acc = has_val ? 0.75 : 0,
          .has_val = has_val,
          .lr = 0.01,
          .seconds = 2,
          .images_per_second = 1000};
}

struct Made {
  std::string net = "lenet5", data = "mnist";
  double accuracy = 0.9, loss = 0.5;
  int epochs = 2, planned = 2;
  bool finished = true, validated = true;
  std::string device = "cpu, 2 threads";
};

// As a training run leaves it.
void make_run(const fs::path& folder, const Made& made) {
  make_folder(folder);
  TrainConfig config;
  config.net = made.net;
  config.data = made.data;
  config.epochs = made.planned;
  write_file_atomically(folder / "config.json", config.to_json());
  RunLog log(folder, 0);
  for (int i = 1; i <= made.epochs; ++i) log.append(row_of(i, made.loss, made.validated));
  if (!made.finished) return;
  RunReport report;
  report.net = made.net;
  report.data = made.data + " (/somewhere (else))";
  report.test_acc = made.accuracy;
  report.test_loss = made.loss;
  report.test_count = 1000;
  report.epochs = log.rows();
  report.memory = {{"workspace", "1.0 MB"}, {"data set", "2.0 MB"}};
  report.environment = {{"lamina", "1"}, {"device", made.device}};
  write_file_atomically(folder / "result.json", result_json(report));
  write_file_atomically(folder / "machine.json", machine_json(report));
}

std::vector<SavedRun> read_all(std::initializer_list<fs::path> folders) {
  std::vector<std::string> names;
  for (const fs::path& folder : folders) names.push_back(folder.string());
  std::vector<SavedRun> runs = read_runs(names);
  for (SavedRun& run : runs) {
    run.parameters = run.config.net == "lenet5" ? 61'706 : 2'500'000;
    run.mult_adds = 1'500'000'000;
  }
  return runs;
}

TEST(saved_run, says_what_the_run_said) {
  const TempFolder temp;
  make_run(temp.path() / "one", {});
  const SavedRun run = read_run(temp.path() / "one");
  EXPECT_EQ(run.name, "one");
  EXPECT_EQ(run.status(), "finished");
  EXPECT_EQ(run.data_name(), "mnist");
  EXPECT_EQ(run.device(), "cpu, 2 threads");
  EXPECT_EQ(run.test_acc, 0.9);
  EXPECT_EQ(run.test_count, 1000);
  EXPECT_EQ(run.seconds(), 4);
  EXPECT_EQ(run.images_per_second(), 1000);
  EXPECT_EQ(run.memory.at(1).first, "data set") << "in the order in which they were written";
  const RunReport report = report_of(run);
  EXPECT_EQ(report.title, "lenet5 on mnist");
  EXPECT_EQ(report.epochs.size(), 2u);
  EXPECT_EQ(markup_error(report_html(report)), "");
}

TEST(saved_run, is_read_where_it_is_not_finished) {
  const TempFolder temp;
  make_run(temp.path() / "stopped", {.planned = 5, .finished = false});
  make_run(temp.path() / "lost", {.loss = std::nan(""), .planned = 5, .finished = false});
  make_run(temp.path() / "bad", {.loss = std::nan("")});
  make_run(temp.path() / "fresh", {.epochs = 0, .finished = false});
  EXPECT_EQ(read_run(temp.path() / "stopped").status(), "unfinished, 2 of 5 epochs");
  EXPECT_EQ(read_run(temp.path() / "lost").status(), "diverged");
  EXPECT_EQ(read_run(temp.path() / "bad").status(), "diverged");
  EXPECT_TRUE(read_run(temp.path() / "fresh").epochs.empty());
  EXPECT_EQ(report_of(read_run(temp.path() / "stopped")).title,
            "lenet5 on mnist (unfinished, 2 of 5 epochs)");
  const std::vector<SavedRun> runs = read_all({temp.path()});
  ASSERT_EQ(runs.size(), 4u);
  EXPECT_EQ(markup_error(comparison_html(runs)), "");
  const std::string text = run_table_text(runs);
  expect_contains(text, "(diverged, 87.98");
  expect_contains(text, "(unfinished)");
  expect_contains(text, "2 of 5");
  EXPECT_EQ(text.find("nan"), std::string::npos);
  EXPECT_EQ(text.find("* 90"), std::string::npos) << "a run that diverged is best in nothing";
}

TEST(saved_run, is_named_by_what_tells_it_from_the_others) {
  const TempFolder temp;
  make_run(temp.path() / "first", {});
  make_run(temp.path() / "sweep/lr=0.1", {});
  make_run(temp.path() / "sweep/lr=0.01", {});
  make_folder(temp.path() / "sweep/other");
  const std::vector<SavedRun> runs = read_all({temp.path() / "first", temp.path() / "sweep/"});
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[0].name, "first");
  EXPECT_EQ(runs[1].name, "sweep/lr=0.01");
  EXPECT_EQ(runs[2].name, "sweep/lr=0.1");
  EXPECT_EQ(common_folder(runs), fs::absolute(temp.path()).lexically_normal());
  EXPECT_EQ(read_all({temp.path() / "sweep"})[0].name, "lr=0.01");
}

TEST(saved_run, refuses_folders_without_runs_and_damaged_results) {
  const TempFolder temp;
  make_folder(temp.path() / "empty");
  expect_contains(request_error_of([&] { read_all({temp.path() / "empty"}); }), "holds no run");
  expect_contains(request_error_of([&] { read_all({temp.path() / "none"}); }), "holds no run");
  make_run(temp.path() / "one", {});
  for (const char* text : {"", "{}", "[1]", R"({"data": 3})", "{\"data\": \"m\", \"tes"}) {
    write_file_atomically(temp.path() / "one/result.json", text);
    expect_contains(failure_of([&] { read_run(temp.path() / "one"); }), "result.json' is damaged");
  }
}

TEST(wilson, is_the_interval_of_the_textbook) {
  // 9 of 10: (0.9 + 1.92/10 -+ ...) / (1 + 3.84/10).
  const auto [low, high] = wilson_interval(0.9, 10);
  EXPECT_NEAR(low, 0.5958, 1e-4);
  EXPECT_NEAR(high, 0.9821, 1e-4);
  EXPECT_GT(wilson_interval(0, 10).second, 0.2);
  EXPECT_NEAR(wilson_interval(0, 10).first, 0, 1e-15);
  EXPECT_NEAR(wilson_interval(1, 10).second, 1, 1e-15);
}

TEST(run_table, marks_the_best_of_what_compares) {
  const TempFolder temp;
  make_run(temp.path() / "a", {.accuracy = 0.9});
  make_run(temp.path() / "b", {.net = "other", .accuracy = 0.95});
  std::vector<SavedRun> runs = read_all({temp.path() / "a", temp.path() / "b"});
  std::string text = run_table_text(runs);
  expect_contains(text, "* 95.00 % (93.47 to 96.19)");
  expect_contains(text, "* 61,706");
  expect_contains(text, "  2.50 M");
  expect_contains(text, "All runs: data mnist, lr 0.001, optimizer adam, batch 64, seed 1, device");
  EXPECT_EQ(text.find("* 1.50 G"), std::string::npos) << "of equals none is best";
  runs[1].data = "cifar-10";
  runs[1].environment = {{"device", "other"}};
  text = run_table_text(runs);
  EXPECT_EQ(text.find("* 95"), std::string::npos);
  expect_contains(text, "accuracies and times are not ranked");
  expect_contains(text, "on different devices");
  expect_contains(run_table_text(std::span(runs).first(1)), "test accuracy  90.00 % (87.98 to 91.");
}

TEST(run_table, is_json_too) {
  const TempFolder temp;
  make_run(temp.path() / "a", {});
  make_run(temp.path() / "b", {.finished = false});
  const auto json =
      nlohmann::json::parse(run_table_json(read_all({temp.path() / "a", temp.path() / "b"})));
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0]["run"], "a");
  EXPECT_EQ(json[0]["parameters"], 61'706);
  EXPECT_EQ(json[0]["seconds_per_epoch"], 2);
  EXPECT_EQ(json[0]["test_accuracy_interval"].size(), 2u);
  EXPECT_TRUE(json[1]["test_accuracy"].is_null());
  EXPECT_EQ(json[1]["status"], "unfinished, 2 of 2 epochs");
}

TEST(comparison, lays_the_curves_over_each_other) {
  const TempFolder temp;
  make_run(temp.path() / "a", {});
  make_run(temp.path() / "b<b>", {.net = "other", .validated = false});
  const std::string html = comparison_html(read_all({temp.path() / "a", temp.path() / "b<b>"}));
  EXPECT_EQ(markup_error(html), "");
  for (const char* part : {"2 runs",
                           "b&lt;b&gt;",
                           "class=\"line line1\"",
                           "<title>epoch 2, 1: 0.625</title>",  // validation
                           "<title>epoch 2, 2: 0.5</title>",    // training
                           "without them, on the training images: 2.",
                           "\xE2\x98\x85\xC2\xA0"
                           "61,706"}) {
    expect_contains(html, part);
  }
  for (const char* forbidden : {"http", "<script", "<link", "url("})
    EXPECT_EQ(html.find(forbidden), std::string::npos) << forbidden;
}

TEST(comparison, draws_the_most_accurate_of_many_runs) {
  const TempFolder temp;
  for (int i = 0; i < 15; ++i)
    make_run(temp.path() / fmt::format("r{:02}", i), {.accuracy = 0.5 + 0.01 * i});
  const std::vector<SavedRun> runs = read_all({temp.path()});
  const std::string html = comparison_html(runs);
  EXPECT_EQ(markup_error(html), "");
  expect_contains(html, "Of 15 runs the 12 with the highest test accuracy.");
  EXPECT_EQ(html.find("epoch 1, 3:"), std::string::npos);
  expect_contains(html, "epoch 1, 4:");
  EXPECT_EQ(html, comparison_html(runs));
}

}  // namespace
}  // namespace lamina
