// Comparing: benchers made of numbers, files, and real child processes that behave and misbehave.
// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/compare.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "tests/files/temp_folder.h"
#include "tests/kernels_tool/noise.h"
#include "tests/kernels_tool/sample_bench.h"

namespace lamina::kernel_bench {
namespace {

// Kernels that cost what the table says, on a machine that both sides share.
class FakeBencher final : public Bencher {
 public:
  FakeBencher(NoisyMachine& noise, std::map<std::string, double> costs)
      : noise_(noise), costs_(std::move(costs)) {
    for (const auto& [name, cost] : costs_)
      cases_.push_back({.name = name, .pass = "forward", .dtype = "f32", .implementation = "loop"});
  }
  const Machine& machine() override { return machine_; }
  const std::vector<CaseInfo>& cases() override { return cases_; }
  Round measure(const CaseInfo& info, std::int64_t samples) override {
    ++measured;
    if (order != nullptr) *order += letter;
    const double layout = restarts == 0 ? first_layout : 1;
    Round round = noise_.round(costs_.at(info.name) * layout, static_cast<int>(samples));
    round.yardstick_ms = 1;
    return round;
  }
  void restart() override { ++restarts; }

  Machine machine_{{"device", "fake"}, {"backend", "cpu"}, {"threads", "1"}};
  std::vector<CaseInfo> cases_;
  double first_layout = 1;  // what the first start's addresses cost
  int restarts = 0, measured = 0;
  std::string* order = nullptr;  // who was asked, one letter a burst
  char letter = '?';

 private:
  NoisyMachine& noise_;
  std::map<std::string, double> costs_;
};

const ComparedRow& row_of(const Comparison& comparison, const std::string& name) {
  for (const ComparedRow& row : comparison.rows) {
    if (row.info.name == name) return row;
  }
  fail("There is no row '{}'.", name);
}

// The error of `body`, which may show the last lines of a program.
template <class Body>
std::string message_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string failure_of(const CompareOpts& opts) {
  return message_of([&] { compare(opts); });
}

TEST(compare, finds_what_changed_and_nothing_else) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    NoisyMachine noise(seed);
    FakeBencher base(noise, {{"a", 1}, {"b", 2}, {"c", 3}, {"d", 0.1}});
    FakeBencher now(noise, {{"a", 1}, {"b", 2.3}, {"c", 3 / 1.15}, {"d", 0.1}});
    const Comparison comparison = compare_benchers(base, now, {});
    EXPECT_EQ(row_of(comparison, "a").verdict.kind, VerdictKind::same) << seed;
    EXPECT_EQ(row_of(comparison, "b").verdict.kind, VerdictKind::slower) << seed;
    EXPECT_EQ(row_of(comparison, "c").verdict.kind, VerdictKind::faster) << seed;
    EXPECT_EQ(row_of(comparison, "d").verdict.kind, VerdictKind::same) << seed;
    EXPECT_EQ(exit_code(comparison), 1);
    EXPECT_EQ(base.restarts, 2);  // only what changed is measured again
  }
}

TEST(compare, itself_is_same) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    NoisyMachine noise(seed);
    FakeBencher base(noise, {{"a", 1}, {"b", 2}}), now(noise, {{"a", 1}, {"b", 2}});
    const Comparison comparison = compare_benchers(base, now, {});
    EXPECT_EQ(comparison.count(VerdictKind::same), 2) << seed << "\n"
                                                      << comparison_text(comparison);
    EXPECT_EQ(exit_code(comparison), 0);
    EXPECT_EQ(base.restarts, 0);
  }
}

TEST(compare, bursts_alternate) {
  NoisyMachine quiet(1, 0, 0);
  FakeBencher base(quiet, {{"a", 1}}), now(quiet, {{"a", 1}});
  std::string order;
  base.order = now.order = &order;
  base.letter = 'b';
  now.letter = 'n';
  EXPECT_EQ(compare_benchers(base, now, {}).rows[0].verdict.count, 12);
  const std::string visit = "bnbnnbbnnb";  // the first two warm up
  EXPECT_EQ(order, visit + visit + visit);
}

TEST(compare, what_fresh_starts_undo_is_no_change) {
  NoisyMachine noise(1);
  FakeBencher base(noise, {{"a", 1}}), now(noise, {{"a", 1}});
  now.first_layout = 1.2;
  const Comparison comparison = compare_benchers(base, now, {});
  EXPECT_EQ(comparison.rows[0].verdict.kind, VerdictKind::same);
  EXPECT_EQ(comparison.rows[0].note, "starts: 3 SAME, 1 SLOWER");
  EXPECT_EQ(exit_code(comparison), 0);
}

TEST(compare, gives_up_where_the_truth_is_the_threshold) {
  NoisyMachine noise(3);
  FakeBencher base(noise, {{"a", 1}}), now(noise, {{"a", 1.07}});
  const Comparison comparison = compare_benchers(base, now, {.most_pairs = 24});
  EXPECT_EQ(comparison.rows[0].verdict.kind, VerdictKind::ambiguous);
  EXPECT_EQ(comparison.rows[0].verdict.count, 7 * 24);
}

TEST(compare, stops_when_told_and_keeps_what_it_has) {
  NoisyMachine noise(3);
  FakeBencher base(noise, {{"a", 1}, {"b", 1}}), now(noise, {{"a", 1}, {"b", 1}});
  const Comparison comparison =
      compare_benchers(base, now, {.stop = [&] { return base.measured > 4; }});
  EXPECT_TRUE(comparison.interrupted);
  EXPECT_EQ(comparison.rows.size(), 2u);
  EXPECT_EQ(exit_code(comparison), 1);
  EXPECT_NE(comparison_text(comparison).find("interrupted"), std::string::npos);
}

TEST(compare, names_rows_without_a_counterpart_and_other_versions) {
  NoisyMachine noise(3);
  FakeBencher base(noise, {{"a", 1}, {"old", 1}}), now(noise, {{"a", 1}, {"new", 1}});
  base.machine_.emplace_back("driver", "1");
  now.machine_.emplace_back("driver", "2");
  now.cases_[0].implementation = "better loop";
  const Comparison comparison = compare_benchers(base, now, {});
  EXPECT_EQ(comparison.only_base, std::vector<std::string>{"old forward f32"});
  EXPECT_EQ(comparison.only_now, std::vector<std::string>{"new forward f32"});
  EXPECT_EQ(comparison.changed, std::vector<std::string>{"driver 1 -> 2"});
  EXPECT_EQ(row_of(comparison, "a").note, "loop -> better loop");
  now.machine_[2].second = "8";
  EXPECT_THROW(compare_benchers(base, now, {}), Error);
  EXPECT_NO_THROW(compare_benchers(base, now, {.force = true}));
}

TEST(compare, writers_agree) {
  NoisyMachine noise(3);
  FakeBencher base(noise, {{"a", 1}, {"b", 1}}), now(noise, {{"a", 1}, {"b", 1.2}});
  const Comparison comparison = compare_benchers(base, now, {});
  const std::string text = comparison_text(comparison);
  EXPECT_EQ(text.find("SLOWER  b  forward f32  1."), 0u) << text;  // the urgent one first
  EXPECT_NE(text.find("2 rows: 1 SLOWER, 0 FASTER, 1 SAME, 0 AMBIGUOUS."), std::string::npos);
  EXPECT_NE(comparison_csv(comparison).find("\r\nSLOWER,b,forward,f32,1."), std::string::npos);
  const auto json = nlohmann::json::parse(comparison_json(comparison));
  EXPECT_EQ(json["slower"], 1);
  EXPECT_EQ(json["rows"][1]["verdict"], "SLOWER");
}

TEST(compare, files_of_one_machine) {
  BenchFile base = sample_bench(), now;
  for (BenchRow& row : base.rows) row.rounds.assign(12, {2.0, 2.1});
  base.yardstick_ms.assign(12, 1);
  now = base;
  EXPECT_EQ(compare_files(base, now, {}).count(VerdictKind::same), 2);
  now.rows[0].rounds.assign(12, {2.3, 2.4});
  now.rows[1].info.name = "another";
  Comparison comparison = compare_files(base, now, {});
  EXPECT_EQ(comparison.count(VerdictKind::slower), 1);
  EXPECT_EQ(comparison.only_base.size(), 1u);
  EXPECT_EQ(comparison.only_now.size(), 1u);
  EXPECT_EQ(comparison.warning, "");
  now.yardstick_ms.assign(12, 1.5);
  EXPECT_NE(compare_files(base, now, {}).warning.find("0.67 of its former speed"),
            std::string::npos);
  now.machine[2].second = "16";
  const std::string refused = message_of([&] { compare_files(base, now, {}); });
  EXPECT_NE(refused.find("threads differs (2 and 16)"), std::string::npos) << refused;
  EXPECT_EQ(compare_files(base, now, {.force = true}).changed[0], "threads 2 -> 16");
}

// Programs: links to the fake server, whose names say how it behaves.
class ComparePrograms : public testing::Test {
 protected:
  std::string program(const std::string& name) {
    const auto link = folder_ / name;
    if (!std::filesystem::exists(link)) std::filesystem::create_symlink(LAMINA_FAKE_BENCH, link);
    return link.string();
  }
  TempFolder folder_;
};

TEST_F(ComparePrograms, side_by_side) {
  const Comparison same = compare({.base = program("one"), .now = program("two")});
  EXPECT_EQ(exit_code(same), 0) << comparison_text(same);
  EXPECT_EQ(same.rows.size(), 5u);
  const Comparison slower = compare({.base = program("one"), .now = program("slow15")});
  EXPECT_EQ(exit_code(slower), 1) << comparison_text(slower);
  EXPECT_EQ(row_of(slower, "spin/long").verdict.kind, VerdictKind::slower);
  EXPECT_NEAR(row_of(slower, "spin/long").verdict.ratio, 1.15, 0.05);
  EXPECT_NE(row_of(slower, "spin/steady").verdict.kind, VerdictKind::slower);
}

TEST_F(ComparePrograms, have_threads_on_processors_of_their_own) {
  const auto bound = [&] {
    const auto child = start_child({.program = program("one")});
    for (const auto& [name, value] : child->machine()) {
      if (name == "bound") return value;
    }
    return std::string("unknown");
  };
  const char* user = std::getenv("OMP_PROC_BIND");
  const std::string before = user == nullptr ? "" : user;
  unsetenv("OMP_PROC_BIND");
  EXPECT_EQ(bound(), "close");
  setenv("OMP_PROC_BIND", "false", 1);
  EXPECT_EQ(bound(), "false");
  unsetenv("OMP_PROC_BIND");
  if (user != nullptr) setenv("OMP_PROC_BIND", before.c_str(), 1);
}

TEST_F(ComparePrograms, with_a_file) {
  const std::string file = (folder_ / "base.json").string();
  save_bench_file(record(*start_child({.program = program("one")}), {}), file);
  const Comparison comparison = compare({.base = file, .now = program("slow15")});
  EXPECT_EQ(comparison.rows.size(), 5u);
  EXPECT_NE(row_of(comparison, "spin/long").verdict.kind, VerdictKind::same)
      << comparison_text(comparison);
}

TEST_F(ComparePrograms, an_interrupt_ends_a_wait) {
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  const Comparison comparison = compare(
      {.base = program("one"), .now = program("mute"), .stop = [&] { return seconds() > 0.3; }});
  EXPECT_TRUE(comparison.interrupted);
  EXPECT_EQ(comparison.count(VerdictKind::ambiguous), 5);
  EXPECT_LT(seconds(), 60);
}

TEST_F(ComparePrograms, that_misbehave_are_clean_errors) {
  const auto failure = [&](const std::string& name) {
    return failure_of({.base = program("one"), .now = program(name)});
  };
  const auto expect = [](const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect(failure("die"), "ended (exit code 3) when asked for 'spin/");
  expect(failure("die"), "fake: out of luck");
  expect(failure("babble"), "wrote 'hello, I am no server'");
  expect(failure("error"), "the kernel is on holiday");
  expect(failure_of({.base = "/nowhere/lamina", .now = program("one")}),
         "'/nowhere/lamina' cannot be started: No such file or directory");
  expect(failure_of({.base = program("one"), .now = "/nowhere/b.json"}), "'/nowhere/b.json'");
  const auto mute = start_child({.program = program("mute"), .patience_seconds = 0.2});
  expect(message_of([&] { mute->measure(mute->cases()[0], 1); }), "said nothing about");
}

}  // namespace
}  // namespace lamina::kernel_bench
