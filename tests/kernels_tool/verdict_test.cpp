// Verdicts on times whose truth is known: unchanged kernels stay SAME, changed ones are found.
// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/verdict.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "tests/kernels_tool/noise.h"

namespace lamina::kernel_bench {
namespace {

constexpr int kSeeds = 300;

struct Tally {
  int same = 0, faster = 0, slower = 0, ambiguous = 0;
  void add(VerdictKind kind) {
    int* counts[] = {&same, &faster, &slower, &ambiguous};
    ++*counts[static_cast<int>(kind)];
  }
};

Verdict paired(std::uint64_t seed, double ratio, int pairs = 96) {
  NoisyMachine machine(seed);
  std::vector<Round> base, now;
  for (int i = 0; i < pairs; ++i) {
    if (i % 2 == 0) base.push_back(machine.round(1));
    now.push_back(machine.round(ratio));
    if (i % 2 == 1) base.push_back(machine.round(1));
  }
  return judge(base, now, {.looks = 7});
}

// A file's rounds: the machine is `speed` times slower all along, and drifts besides.
std::vector<Round> recorded(std::uint64_t seed, double cost, double speed, bool yardstick = true) {
  NoisyMachine machine(seed);
  std::vector<Round> rounds;
  for (int i = 0; i < 20; ++i) {
    Round round = machine.round(cost * speed, 5);
    const Round fixed = machine.round(2 * speed, 5);
    if (yardstick) round.yardstick_ms = *std::min_element(fixed.ms.begin(), fixed.ms.end());
    rounds.push_back(round);
    machine.round(1, 40);  // other kernels
  }
  return rounds;
}

TEST(verdict, unchanged_pairs_are_same) {
  Tally tally;
  for (int seed = 0; seed < kSeeds; ++seed) tally.add(paired(seed, 1).kind);
  EXPECT_EQ(tally.same, kSeeds) << tally.slower << " slower, " << tally.faster << " faster";
}

TEST(verdict, fifteen_percent_are_found_in_pairs) {
  Tally up, down;
  for (int seed = 0; seed < kSeeds; ++seed) {
    up.add(paired(seed, 1.15).kind);
    down.add(paired(seed, 1 / 1.15).kind);
  }
  EXPECT_EQ(up.slower, kSeeds) << up.same << " same, " << up.ambiguous << " ambiguous";
  EXPECT_EQ(down.faster, kSeeds) << down.same << " same, " << down.ambiguous << " ambiguous";
}

TEST(verdict, no_false_alarm_at_the_threshold) {
  // The hardest truth: exactly at the threshold neither side of it may be claimed often.
  Tally tally;
  for (int seed = 0; seed < kSeeds; ++seed) tally.add(paired(seed, 1.07).kind);
  EXPECT_LE(tally.slower + tally.same, kSeeds / 100) << tally.slower << " slower";
  EXPECT_EQ(tally.faster, 0);
}

TEST(verdict, the_interval_covers_the_truth) {
  int covered = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    const Verdict verdict = paired(seed, 1.15);
    covered += verdict.low <= 1.15 && 1.15 <= verdict.high ? 1 : 0;
  }
  EXPECT_GE(covered, kSeeds * 99 / 100);
}

TEST(verdict, files_of_a_slower_machine_are_same) {
  Tally tally;
  for (int seed = 0; seed < kSeeds; ++seed)
    tally.add(judge(recorded(seed, 1, 1), recorded(seed + 1000, 1, 1.04), {.paired = false}).kind);
  EXPECT_EQ(tally.slower + tally.faster, 0);
  EXPECT_GE(tally.same, kSeeds * 95 / 100) << tally.ambiguous << " ambiguous";
}

TEST(verdict, fifteen_percent_are_found_in_files) {
  Tally tally;
  for (int seed = 0; seed < kSeeds; ++seed) {
    tally.add(
        judge(recorded(seed, 1, 1), recorded(seed + 1000, 1.15, 1.04), {.paired = false}).kind);
  }
  EXPECT_EQ(tally.same + tally.faster, 0);
  EXPECT_GE(tally.slower, kSeeds * 95 / 100) << tally.ambiguous << " ambiguous";
}

TEST(verdict, much_drift_leaves_files_open) {
  // 40 % between the files: the yardstick is not believed to the last percent.
  for (int seed = 0; seed < 20; ++seed) {
    const auto base = recorded(seed, 1, 1), now = recorded(seed + 1000, 1.05, 1.4);
    EXPECT_EQ(judge(base, now, {.paired = false}).kind, VerdictKind::ambiguous) << seed;
  }
}

TEST(verdict, without_yardsticks_the_raw_times_count) {
  const auto base = recorded(1, 1, 1, false), now = recorded(2, 1, 1.4, false);
  EXPECT_EQ(judge(base, now, {.paired = false}).kind, VerdictKind::slower);
}

TEST(verdict, too_few_rounds_are_ambiguous) {
  const std::vector<Round> two{{{1.0}}, {{1.0}}};
  const Verdict verdict = judge(two, two, {});
  EXPECT_EQ(verdict.kind, VerdictKind::ambiguous);
  EXPECT_EQ(verdict.text, "1.000x (2 pairs are too few, 8 are needed)");
  EXPECT_EQ(judge({}, {}, {}).kind, VerdictKind::ambiguous);
  // 2 / C(10, 5) = 0.8 %.
  EXPECT_EQ(fewest_rounds({.paired = false}), 5);
  EXPECT_EQ(fewest_rounds({.confidence = 0.95}), 6);
}

TEST(verdict, intervals_are_those_of_the_tables) {
  // Sign test, 20 pairs, 95 %: the 6th value from either end (Conover, table A3).
  std::vector<Round> base, now;
  for (int i = 1; i <= 20; ++i) {
    base.push_back({{1.0}});
    now.push_back({{std::exp(0.01 * i)}});
  }
  Verdict verdict = judge(base, now, {.confidence = 0.95});
  EXPECT_NEAR(std::log(verdict.low), 0.06, 1e-9);
  EXPECT_NEAR(std::log(verdict.high), 0.15, 1e-9);
  // Mann-Whitney, 8 and 8, 95 %: U = 13 is significant, so the 14th difference from either end.
  base.resize(8);
  now.clear();
  for (int i = 0; i < 8; ++i) {
    base[static_cast<std::size_t>(i)] = {{std::exp(-0.08 * i)}};
    now.push_back({{std::exp(0.01 * i)}});
  }
  verdict = judge(base, now, {.confidence = 0.95, .paired = false});
  EXPECT_NEAR(std::log(verdict.low), 0.13, 1e-9);  // the differences are 0, 0.01, ... 0.63
  EXPECT_NEAR(std::log(verdict.high), 0.50, 1e-9);
}

TEST(verdict, many_rounds_use_the_normal_law) {
  std::vector<Round> base, now;
  for (std::uint64_t i = 0; i < 60; ++i) {
    base.push_back(NoisyMachine(i).round(1));
    now.push_back(NoisyMachine(i + 100).round(1.15));
  }
  const Verdict verdict = judge(base, now, {.paired = false});
  EXPECT_EQ(verdict.kind, VerdictKind::slower);
  EXPECT_NEAR(verdict.ratio, 1.15, 0.01);
}

TEST(verdict, refuses_what_is_no_time) {
  const std::vector<Round> good{{{1.0}}}, none{{{}}}, zero{{{0.0}}}, two{{{1.0}}, {{1.0}}};
  EXPECT_THROW(judge(good, none, {}), Error);
  EXPECT_THROW(judge(zero, good, {}), Error);
  EXPECT_THROW(judge(good, two, {}), Error);
  EXPECT_THROW(judge(good, good, {.threshold = 5}), Error);
  EXPECT_THROW(judge(good, good, {.confidence = 99}), Error);
}

}  // namespace
}  // namespace lamina::kernel_bench
