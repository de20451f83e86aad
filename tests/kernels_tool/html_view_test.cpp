// The page of a bench: well-formed, escaped, and complete without its script.
// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/html_view.h"

#include <gtest/gtest.h>

#include "tests/files/markup.h"
#include "tests/kernels_tool/sample_bench.h"

namespace lamina::kernel_bench {
namespace {

bool has(const std::string& html, const std::string& part) {
  return html.find(part) != std::string::npos;
}

Comparison sample_changes(const BenchFile& file) {
  Comparison changes{.only_base = {"gone <one>"}, .changed = {"driver 1 -> <2>"}};
  changes.warning = "mind the <gap>";
  changes.rows.push_back({file.rows[0].info,
                          {.kind = VerdictKind::slower, .ratio = 1.2, .text = "1.200x (1.1-1.3)"},
                          "a -> b"});
  return changes;
}

TEST(html_view, is_well_formed_with_and_without_a_baseline) {
  const BenchFile file = sample_bench();
  const Comparison changes = sample_changes(file);
  EXPECT_EQ(markup_error(bench_html(file, {})), "");
  EXPECT_EQ(markup_error(bench_html(file, {.changes = &changes, .base_date = "<then>"})), "");
  EXPECT_EQ(markup_error(bench_html({}, {.title = "<\"&'"})), "");
}

TEST(html_view, writes_times_for_people) {
  BenchFile file = sample_bench();
  file.date = "2026-01-31T12:00:59Z";
  EXPECT_NE(bench_html(file, {}).find("2026-01-31 12:00 UTC"), std::string::npos);
}

TEST(html_view, escapes_all_text) {
  BenchFile file = sample_bench();
  const std::string evil = "<script>alert(1)</script>\"'&\x01\xff";
  file.date = evil;
  file.machine.emplace_back(evil, evil);
  file.ceilings.matmul_tflops[evil] = 1;
  CaseInfo& info = file.rows[0].info;
  info.name = info.op = info.pass = info.dtype = info.implementation = evil;
  file.rows[0].peer->name = evil;
  Comparison changes = sample_changes(file);
  changes.rows[0].note = changes.rows[0].verdict.text = changes.method = evil;
  changes.only_now = {evil};
  const std::string html =
      bench_html(file, {.title = evil, .changes = &changes, .base_date = evil});
  EXPECT_EQ(markup_error(html), "");
  EXPECT_FALSE(has(html, "alert(1)</script>"));
  EXPECT_FALSE(has(html, "<script>alert"));
}

TEST(html_view, says_verdicts_in_words_and_draws_shares) {
  const BenchFile file = sample_bench();
  const Comparison changes = sample_changes(file);
  const std::string html = bench_html(file, {.changes = &changes});
  EXPECT_TRUE(has(html, "<span class=\"badge slower\">SLOWER</span>"));
  EXPECT_TRUE(has(html, "driver 1 -&gt; &lt;2&gt;"));
  EXPECT_TRUE(has(html, "<strong>Warning:</strong> mind the &lt;gap&gt;"));
  EXPECT_TRUE(has(html, "--share:0.200"));  // 5 of 25 GB/s
  EXPECT_TRUE(has(html, "--share:0.500"));  // 0.1 of 0.2 TFLOP/s
  EXPECT_TRUE(has(html, "0.80x<small>faster than onednn</small>"));
  EXPECT_FALSE(has(bench_html(file, {}), "Changes"));
}

TEST(html_view, loads_nothing_from_elsewhere) {
  const std::string html = bench_html(sample_bench(), {});
  for (const char* part : {"http:", "https:", "//", "url(", "@import", " src=", " onclick="})
    EXPECT_FALSE(has(html, part)) << part;
}

TEST(html_view, without_a_script_urgent_and_long_rows_come_first) {
  BenchFile file = sample_bench();
  file.rows[1].rounds.assign(4, {9.0});
  const std::string html = bench_html(file, {});
  EXPECT_LT(html.find("a &quot;quoted&quot;"), html.find("conv2d/<wbr/>vgg16"));
  const Comparison changes = sample_changes(file);
  const std::string compared = bench_html(file, {.changes = &changes});
  const std::string table = compared.substr(compared.find("id=\"kernels\""));
  EXPECT_LT(table.find("conv2d/<wbr/>vgg16"), table.find("a &quot;quoted&quot;"));
}

}  // namespace
}  // namespace lamina::kernel_bench
