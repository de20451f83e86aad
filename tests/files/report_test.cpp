// SPDX-License-Identifier: Apache-2.0
#include "engine/train/report.h"

#include <cmath>
#include <limits>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "tests/files/markup.h"
#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

constexpr const char* kNasty = "<b>\"A & B\"</b> 'x' \x01 \xFF \xC3\xA9";

RunReport full_report(int epochs) {
  RunReport report;
  report.title = "lenet on digits";
  report.net = "lenet";
  report.data = "digits";
  report.device = "ref";
  report.started = "2024-01-02 03:04:05";
  report.config = {{"seed", "1"}, {"out", kNasty}};
  report.environment = {{"compiler", "g++"}};
  report.memory = {{"parameters", "241.2 KiB"}};
  for (int i = 1; i <= epochs; ++i) {
    report.epochs.push_back({.epoch = i,
                             .step = 1'000 * i + 7,
                             .train_loss = 1.0 / i,
                             .train_acc = 1 - 0.3 / i,
                             .val_loss = 0.5 / i + 0.01 * i,
                             .val_acc = 1 - 0.4 / i,
                             .has_val = true,
                             .lr = 1e-3,
                             .seconds = 2.5,
                             .images_per_second = 19'200,
                             .data_wait = 0.125});
  }
  for (int i = 1; i <= 900; ++i) report.step_losses.emplace_back(10 * i, 2.0 / i);
  report.test_loss = 0.25;
  report.test_acc = 0.9;
  report.test_count = 30;
  report.class_names = {"zero", kNasty, "two"};
  report.confusion = {9, 1, 0, 0, 10, 0, 2, 0, 8};
  Mistake grey{.index = 1234,
               .label = 2,
               .predicted = 0,
               .confidence = 0.987,
               .h = 2,
               .w = 3,
               .c = 1,
               .pixels = {0, 50, 100, 150, 200, 250}};
  Mistake colour{.index = 5,
                 .label = 0,
                 .predicted = 1,
                 .confidence = 0.6,
                 .h = 1,
                 .w = 2,
                 .c = 3,
                 .pixels = {255, 0, 0, 0, 0, 255}};
  report.mistakes = {grey, colour};
  report.features = {.index = 7, .label = 1, .h = 1, .w = 2, .c = 1, .pixels = {0, 255}};
  const float values[] = {-1, 8, 0, 8, 1, 8};  // [3,1,2]
  report.features.layers = {draw_features("conv<1>", {1, 3, 1, 2}, values, {.maps = 1})};
  report.summary_text = "Layer   <Output>\nconv & pool";
  return report;
}

TEST(report, is_well_formed) {
  EXPECT_EQ(markup_error(report_html(full_report(5))), "");
  EXPECT_EQ(markup_error(report_html(full_report(60))), "");
  EXPECT_EQ(markup_error(report_html({})), "");
}

TEST(report, escapes_every_text) {
  const std::string html = report_html(full_report(3));
  EXPECT_EQ(html.find("<b>\"A"), std::string::npos);
  EXPECT_EQ(html.find('\x01'), std::string::npos);
  EXPECT_EQ(html.find('\xFF'), std::string::npos);
  expect_contains(html, "&lt;b&gt;&quot;A &amp; B&quot;&lt;/b&gt; &#39;x&#39; \xEF\xBF\xBD");
  expect_contains(html, "Layer   &lt;Output&gt;\nconv &amp; pool");
  RunReport report = full_report(1);
  for (std::string* text : {&report.title,
                            &report.net,
                            &report.data,
                            &report.device,
                            &report.started,
                            &report.summary_text,
                            &report.environment[0].first,
                            &report.memory[0].second}) {
    *text = "</title></style><script>alert(1)</script>";
  }
  EXPECT_EQ(markup_error(report_html(report)), "");
  EXPECT_EQ(report_html(report).find("<script"), std::string::npos);
}

TEST(report, needs_nothing_from_outside) {
  const std::string html = report_html(full_report(3));
  for (const char* forbidden : {"http", "<script", "<link", "<iframe", "@import", "url(", "onload"})
    EXPECT_EQ(html.find(forbidden), std::string::npos) << forbidden;
  std::size_t images = 0;
  for (std::size_t at = html.find("src=\""); at != std::string::npos;
       at = html.find("src=\"", at + 1)) {
    EXPECT_EQ(html.substr(at + 5, 22), "data:image/png;base64,");
    ++images;
  }
  EXPECT_EQ(images, 2u + 1 + 1);  // mistakes, the first image, its map
  expect_contains(html, "prefers-color-scheme: dark");
  expect_contains(html, "name=\"viewport\"");
}

TEST(report, shows_every_epoch) {
  const RunReport report = full_report(60);
  const std::string html = report_html(report);
  for (const EpochRow& row : report.epochs)
    expect_contains(html, fmt::format("<td>{},{:03}</td>", row.step / 1000, row.step % 1000));
}

TEST(report, shows_the_results) {
  const std::string html = report_html(full_report(5));
  for (const char* part : {"90.00\xC2\xA0%",           // test accuracy
                           "3 of 30",                  // wrong
                           "0.2500",                   // test loss
                           "74.38\xC2\xA0% to 96.54",  // its interval
                           "5 of 5",                   // best epoch
                           "81.82\xC2\xA0%",           // precision of class 0: 9 of 11
                           "80.00\xC2\xA0%",           // recall of class 2: 8 of 10
                           "two taken for zero (2)",
                           "98.7\xC2\xA0%",  // confidence
                           "no.\xC2\xA0"
                           "1,234",
                           "241.2 KiB",
                           "2024-01-02 03:04:05",
                           "12.5\xC2\xA0s",
                           "19,200 images/s over all epochs",
                           "<title>epoch 5, wait: 12.50",
                           "test image no. 7, of class &lt;b&gt;",
                           "conv&lt;1&gt;</b>2 maps of 3\xC2\xA0x\xC2\xA0"
                           "1, the first 1<br/>black -1, white 1<"}) {
    expect_contains(html, part);
  }
}

TEST(report, leaves_no_hole_between_the_curves) {
  // Loss, accuracy, step loss, learning rate, speed, waiting; then without waiting.
  RunReport report = full_report(3);
  const std::string small = "class=\"charts small\"";
  std::string html = report_html(report);
  EXPECT_EQ(html.find(small), std::string::npos);
  for (EpochRow& row : report.epochs) row.data_wait = 0;
  html = report_html(report);
  EXPECT_EQ(markup_error(html), "");
  expect_contains(html, small);
  EXPECT_LT(html.find(">Accuracy</h3>"), html.find(small));
  EXPECT_LT(html.find(small), html.find(">Loss by step</h3>"));
  // A single step is a dot.
  report.step_losses.resize(1);
  expect_contains(report_html(report), "<title>step 10, train: 2</title>");
}

TEST(report, marks_the_best_epoch_by_validation_loss) {
  RunReport report = full_report(6);
  for (EpochRow& row : report.epochs) row.val_loss = std::abs(row.epoch - 4) + 0.5;
  const std::string html = report_html(report);
  expect_contains(html, "<dd>4 of 6</dd>");
  expect_contains(html, "Lowest validation loss 0.5000 in epoch 4.");
  expect_contains(html, "<th scope=\"row\">4 best</th>");
}

TEST(report, leaves_out_what_is_not_there) {
  RunReport report = full_report(3);
  report.confusion.clear();
  report.class_names.clear();
  report.mistakes.clear();
  report.memory.clear();
  report.features.layers.clear();
  for (EpochRow& row : report.epochs) row.data_wait = 0;
  report.summary_text.clear();
  report.test_count = 0;
  std::string html = report_html(report);
  for (const char* id : {"id=\"classes\"",
                         "id=\"mistakes\"",
                         "id=\"features\"",
                         "id=\"layers\"",
                         "Memory plan",
                         "Waiting for data",
                         "Accuracy in the first five"}) {
    EXPECT_EQ(html.find(id), std::string::npos) << id;
  }
  expect_contains(html, "The device never waited for data.");
  expect_contains(html, "Validation accuracy");
  for (EpochRow& row : report.epochs) row.has_val = false;
  html = report_html(report);
  expect_contains(html, "not validated, not tested");
  EXPECT_EQ(html.find("val loss"), std::string::npos);
  EXPECT_EQ(markup_error(html), "");
}

TEST(report, shows_the_first_five_where_there_are_many_classes) {
  RunReport report = full_report(3);
  report.class_names.assign(11, "name");
  report.confusion.assign(121, 1);
  for (EpochRow& row : report.epochs) row.val_acc5 = row.epoch == 2 ? 0.987 : 0.5;
  const std::string html = report_html(report);
  EXPECT_EQ(markup_error(html), "");
  expect_contains(html, "Highest validation accuracy in the first five 98.70\xC2\xA0% in epoch 2.");
}

TEST(feature_maps, share_one_scale_and_fit) {
  // [4,6,2]: blocks of two by two pixels; the last channel is beyond the pictures asked for.
  std::vector<float> values;
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 6; ++x) {
      values.push_back(float(y / 2 * 3 + x / 2) + (x % 2 == 0 ? -0.5F : 0.5F));
      values.push_back(std::nanf(""));
    }
  }
  const FeatureMaps maps = draw_features("conv", {1, 4, 6, 2}, values, {.maps = 1, .side = 3});
  EXPECT_EQ(maps.h, 4);
  EXPECT_EQ(maps.c, 2);
  EXPECT_EQ(maps.tile_h, 2);
  EXPECT_EQ(maps.tile_w, 3);
  EXPECT_EQ(maps.low, 0);
  EXPECT_EQ(maps.high, 5);
  ASSERT_EQ(maps.tiles.size(), 1u);
  EXPECT_EQ(maps.tiles[0], (std::vector<std::uint8_t>{0, 51, 102, 153, 204, 255}));
  // The maps of one layer share the scale; what is no number is black.
  const float mixed[] = {0, 10, std::nanf(""), 5, 2, 0};  // [3,1,2]
  const FeatureMaps two = draw_features("conv", {1, 3, 1, 2}, mixed);
  EXPECT_EQ(two.tiles[0], (std::vector<std::uint8_t>{0, 0, 51}));
  EXPECT_EQ(two.tiles[1], (std::vector<std::uint8_t>{255, 128, 0}));
}

TEST(report, survives_a_run_that_diverged) {
  RunReport report = full_report(4);
  report.epochs[1].train_loss = std::nan("");
  report.epochs[2].val_loss = std::numeric_limits<double>::infinity();
  report.epochs[3].train_loss = 1e300;
  report.step_losses[5].second = std::nan("");
  report.step_losses[6].second = -1e308;
  report.step_losses[7].second = 1e308;
  report.test_loss = std::nan("");
  report.mistakes[0].confidence = std::nan("");
  std::string html = report_html(report);
  EXPECT_EQ(markup_error(html), "");
  EXPECT_EQ(html.find("nan"), std::string::npos) << html.substr(html.find("nan") - 60, 120);
  EXPECT_EQ(html.find("\"inf"), std::string::npos);
  for (EpochRow& row : report.epochs) row.train_loss = row.val_loss = row.lr = std::nan("");
  html = report_html(report);
  expect_contains(html, "No finite values.");
  EXPECT_EQ(html.find("nan"), std::string::npos) << html.substr(html.find("nan") - 60, 120);
}

TEST(report, lists_confusions_when_the_matrix_is_too_large) {
  RunReport report = full_report(1);
  const int classes = 100;
  report.class_names.clear();
  report.confusion.assign(classes * classes, 0);
  for (int i = 0; i < classes; ++i) report.confusion[std::size_t(i * classes + i)] = 5;
  report.confusion[3 * classes + 97] = 4;
  report.mistakes.clear();
  const std::string html = report_html(report);
  EXPECT_EQ(html.find("class=\"confusion\""), std::string::npos);
  expect_contains(html, "<th scope=\"row\">3</th><td>97</td><td>4</td>");
  EXPECT_LT(html.size(), 100'000u);
}

TEST(report, numbers_the_outputs_that_no_class_has) {
  RunReport report = full_report(1);
  report.class_names.pop_back();
  const std::string html = report_html(report);
  EXPECT_EQ(markup_error(html), "");
  expect_contains(html, "<th scope=\"col\"><span>zero</span></th>");
  expect_contains(html, "<th scope=\"col\"><span>2</span></th>");
  expect_contains(html, "true <b>2</b>");
}

TEST(report, refuses_data_that_does_not_fit) {
  RunReport report = full_report(1);
  report.confusion.pop_back();
  expect_contains(request_error_of([&] { report_html(report); }), "confusion matrix of the report");
  report.class_names.clear();
  expect_contains(request_error_of([&] { report_html(report); }), "has 8 counts for 0 class names");
  report = full_report(1);
  report.class_names.push_back("three");
  expect_contains(request_error_of([&] { report_html(report); }), "has 9 counts for 4 class names");
  report = full_report(1);
  report.mistakes[0].pixels.pop_back();
  expect_contains(request_error_of([&] { report_html(report); }), "has 5 bytes for 2 x 3 x 1");
}

TEST(report, gives_equal_bytes_for_equal_reports) {
  EXPECT_EQ(report_html(full_report(7)), report_html(full_report(7)));
}

}  // namespace
}  // namespace lamina
