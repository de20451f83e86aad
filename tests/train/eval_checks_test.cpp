// What `lamina eval` says about weights that come from elsewhere.
// SPDX-License-Identifier: Apache-2.0
#include "tools/eval_checks.h"

#include <gtest/gtest.h>

#include "engine/core/error.h"

namespace lamina::cli {
namespace {

Dataset three_classes() {
  Dataset data;
  data.name = "pets";
  data.count = 4;
  data.h = data.w = 1;
  data.c = 2;
  data.classes = 3;
  data.images = {0, 255, 255, 0, 0, 255, 255, 0};
  data.labels = {0, 1, 2, 1};
  data.class_names = {"cat", "dog", "fish"};
  return data;
}

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::request);
    return error.what();
  }
  return "no error";
}

TEST(Scaling, IsThatOfTheOrigin) {
  const Dataset data = three_classes();
  // Pixels as they are, from 0 to 255: (p - 127.5) / 127.5.
  const PrepareOpts raw = parse_scaling("127.5", "127.5", 1.0, data);
  EXPECT_FLOAT_EQ(raw.mean[1], 0.5f);
  EXPECT_FLOAT_EQ(raw.stddev[1], 0.5f);
  EXPECT_EQ(input_text(data, raw), "pixels reach the net from -1 to 1, mean 0, deviation 1");
  // One number a channel, of pixels from 0 to 1.
  const PrepareOpts each = parse_scaling("0.25,0.75", "0.5,2", 1.0 / 255, data);
  EXPECT_FLOAT_EQ(each.mean[0], 0.25f);
  EXPECT_FLOAT_EQ(each.mean[1], 0.75f);
  EXPECT_FLOAT_EQ(each.stddev[1], 2.0f);
  EXPECT_EQ(parse_scaling("", "", 1.0 / 255, data).stddev[0], 1.0f);
  for (const char* mean : {"0.1,0.2,0.3", "x", "0.1,", ",", "0.1;0.2"})
    EXPECT_NE(error_of([&] { parse_scaling(mean, "", 1, data); }).find("mean"), std::string::npos)
        << mean;
  EXPECT_NE(error_of([&] { parse_scaling("", "0", 1, data); }).find("std"), std::string::npos);
  EXPECT_NE(error_of([&] { parse_scaling("", "", -1, data); }).find("scale"), std::string::npos);
}

TEST(ClassOrder, RenumbersTheLabels) {
  Dataset data = three_classes();
  reorder_classes("fish,0,dog", data);
  EXPECT_EQ(data.labels, (std::vector<std::int32_t>{1, 2, 0, 2}));
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"fish", "cat", "dog"}));
  for (const char* order :
       {"cat,dog", "cat,dog,dog", "cat,dog,bird", "0,1,3", "0,1,2,", "-1,0,1"}) {
    Dataset other = three_classes();
    EXPECT_NE(error_of([&] { reorder_classes(order, other); }).find("class-order"),
              std::string::npos)
        << order;
  }
}

EvalResult result_of(const std::vector<std::int64_t>& confusion, std::size_t outputs) {
  EvalResult result;
  result.confusion = confusion;
  for (std::size_t i = 0; i < confusion.size(); ++i) {
    result.sums.samples += static_cast<double>(confusion[i]);
    if (i / outputs == i % outputs) result.sums.correct += static_cast<double>(confusion[i]);
  }
  return result;
}

TEST(Advice, SeesAnotherOrderOfTheClasses) {
  const Dataset data = three_classes();
  // Rows are classes, columns outputs: cats come out as 1, dogs as 2, fish as 0.
  const std::string order = advice(result_of({1, 9, 0, 0, 1, 9, 8, 2, 0}, 3), data, 3);
  EXPECT_NE(order.find("86.67 %"), std::string::npos) << order;
  EXPECT_NE(order.find("--class-order 'fish,cat,dog'"), std::string::npos) << order;
  EXPECT_EQ(advice(result_of({9, 1, 0, 1, 9, 0, 2, 0, 8}, 3), data, 3), "");  // as it should be
}

TEST(Advice, SeesChance) {
  const Dataset data = three_classes();
  const std::string text = advice(result_of({9, 1, 0, 9, 1, 0, 9, 1, 0}, 3), data, 3);
  EXPECT_NE(text.find("--mean"), std::string::npos) << text;
}

}  // namespace
}  // namespace lamina::cli
