// The file of a bench: out and in again, damaged, foreign; and what is derived from it.
// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/bench_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "tests/files/temp_folder.h"
#include "tests/kernels_tool/sample_bench.h"
#include "tools/kernels/bench_table.h"

namespace lamina::kernel_bench {
namespace {

using Json = nlohmann::json;

// The error of reading this text; "" when it is read.
std::string refusal(const std::string& text) {
  try {
    parse_bench_file(text, "b.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::request) << error.what();
    return error.what();
  }
  return "";
}

TEST(bench_file, comes_back_as_it_was) {
  const TempFolder folder;
  const BenchFile file = sample_bench();
  save_bench_file(file, folder / "b.json");
  const BenchFile back = load_bench_file(folder / "b.json");
  EXPECT_EQ(bench_file_text(back), bench_file_text(file));
  EXPECT_EQ(back.machine, file.machine);
  EXPECT_EQ(back.yardstick_ms, file.yardstick_ms);
  ASSERT_EQ(back.rows.size(), file.rows.size());
  EXPECT_EQ(back.rows[0].info.key(), "conv2d/vgg16.features.0 forward f32");
  EXPECT_EQ(back.rows[0].rounds, file.rows[0].rounds);
  ASSERT_TRUE(back.rows[0].peer.has_value());
  EXPECT_EQ(back.rows[0].peer->rounds, file.rows[0].peer->rounds);
  EXPECT_EQ(back.ceilings.matmul_tflops, file.ceilings.matmul_tflops);
}

TEST(bench_file, damage_names_the_file_and_the_field) {
  const std::string whole = bench_file_text(sample_bench());
  EXPECT_EQ(refusal(whole), "");
  EXPECT_EQ(refusal(whole.substr(0, whole.size() / 2)),
            "'b.json' is no JSON, or was cut short; measure it again with `lamina kernels bench`.");
  const auto after = [&](const char* pointer, const Json& value) {
    Json json = Json::parse(whole);
    json[Json::json_pointer(pointer)] = value;
    const std::string message = refusal(json.dump());
    EXPECT_NE(message.find("'b.json'"), std::string::npos) << message;
    return message;
  };
  const auto expect = [&](const char* pointer, const Json& value, const char* part) {
    const std::string message = after(pointer, value);
    EXPECT_NE(message.find(part), std::string::npos) << pointer << ": " << message;
  };
  expect("/format", "other", "its field 'format' is not");
  expect("/version", 2, "has version 2 of the format; this program reads 1");
  expect("/machine", 3, "facts of the machine");
  expect("/machine/driver", Json::array(), "'driver'");
  expect("/yardstick_ms", Json{1.0}, "has 4 rounds, and 'yardstick_ms' has 1");
  expect("/yardstick_ms/0", 0, "a time of 0 ms");
  expect("/ceilings/copy_gbps", "fast", "'copy_gbps' that is no number");
  expect("/ceilings/matmul_tflops", 1, "'matmul_tflops'");
  expect("/rows", 1, "'rows' that is no list");
  expect("/rows/0", 1, "row 1 is not an object");
  expect("/rows/0/case", 1, "'case'");
  expect("/rows/0/bytes", -1, "'bytes' of -1");
  expect("/rows/0/rounds/1/0", "x", "round 2 has a time that is no number");
  expect("/rows/0/rounds/1", Json::array(), "round 2 lists no times");
  expect("/rows/0/rounds/1/0", 1e300, "no duration");
  expect("/rows/0/peer", "x", "'peer'");
  expect("/rows/1", Json::parse(whole)["rows"][0], "twice");
  for (const char* foreign : {"", "[]", "null", "7", "{}", "{\"format\": 3}", "\xff\xfe"})
    EXPECT_NE(refusal(foreign), "") << foreign;
}

TEST(bench_file, every_prefix_is_refused) {
  const std::string whole = bench_file_text(sample_bench());
  for (std::size_t length = 0; length + 2 < whole.size(); length += 7)
    EXPECT_NE(refusal(whole.substr(0, length)), "") << length;
}

TEST(bench_file, a_missing_file_is_a_wrong_request) {
  expect_contains(request_error_of([] { load_bench_file("/nowhere/b.json"); }),
                  "'/nowhere/b.json'");
}

TEST(bench_file, figures_are_against_the_tighter_ceiling) {
  const BenchFile file = sample_bench();
  const RowFigures conv = figures_of(file.rows[0], file.ceilings);
  EXPECT_DOUBLE_EQ(conv.median_ms, 2);
  EXPECT_DOUBLE_EQ(conv.min_ms, 1.9);
  EXPECT_DOUBLE_EQ(conv.gbps, 5);      // 10 MB in 2 ms
  EXPECT_DOUBLE_EQ(conv.tflops, 0.1);  // 0.2 GFLOP in 2 ms
  EXPECT_DOUBLE_EQ(conv.share, 0.5);   // 20 % of the copies, 50 % of the products
  EXPECT_DOUBLE_EQ(conv.ratio, 0.8);
  const RowFigures add = figures_of(file.rows[1], file.ceilings);
  EXPECT_DOUBLE_EQ(add.share, 0.8);  // no flops: only the copies
  EXPECT_TRUE(std::isnan(add.tflops));
  EXPECT_TRUE(std::isnan(add.ratio));
  EXPECT_TRUE(std::isnan(figures_of({}, file.ceilings).median_ms));
}

TEST(bench_file, tables_have_a_line_a_row) {
  const std::string table = bench_table(sample_bench());
  EXPECT_NE(table.find("conv2d/vgg16.features.0  forward   f32    2.000"), std::string::npos)
      << table;
  EXPECT_EQ(table.find(" \n"), std::string::npos);
  const std::string csv = bench_csv(sample_bench());
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 3);
  EXPECT_NE(csv.find("\"a \"\"quoted\"\", name\""), std::string::npos) << csv;
}

TEST(bench_file, tells_machines_and_versions_apart) {
  const Machine base = sample_bench().machine;
  Machine other = base;
  EXPECT_EQ(different_machine(base, other), "");
  EXPECT_TRUE(changed_facts(base, other).empty());
  other[3].second = "556.00";
  EXPECT_EQ(different_machine(base, other), "");
  EXPECT_EQ(changed_facts(base, other), std::vector<std::string>{"driver 555.42 -> 556.00"});
  other[0].second = "Fake B";
  EXPECT_EQ(different_machine(base, other), "their device differs (Fake A and Fake B)");
  other.erase(other.begin() + 3);
  EXPECT_EQ(changed_facts(base, other).size(), 2u);
}

}  // namespace
}  // namespace lamina::kernel_bench
