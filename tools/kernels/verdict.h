// Whether a kernel got slower, from timings of it before and after: order statistics only.
//
// Noise on a shared machine adds time, comes in bursts and drifts over minutes. So a round (a short
// burst of samples) counts with its best sample, and rounds are compared, not samples:
//   paired    round i of both sides was taken side by side, in alternating order. The ratio is the
//             median over the pairs, its interval that of the sign test. Whatever slows both halves
//             of a pair cancels, and up to half of the pairs may be spoilt otherwise.
//   unpaired  the sides were recorded at different times. Every round is first divided by what a
//             fixed piece of work took in it (the yardstick). The ratio is the Hodges-Lehmann
//             shift of the logarithms, its interval that of the Mann-Whitney test. Where the
//             yardsticks of the sides differ, kernels follow them only roughly: the interval grows
//             by a share of that difference.
// Both intervals hold for any distribution of the noise. A verdict needs the whole interval on one
// side of the threshold, so for a kernel that did not change the error is far below 1 - confidence.
// Looking several times while samples arrive would add errors up: each look gets its share of them.
// https://doi.org/10.1214/aoms/1177704172 (Hodges, Lehmann)
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lamina::kernel_bench {

struct Round {
  std::vector<double> ms;
  double yardstick_ms = 0;  // the fixed piece of work in this round; 0: not taken
};

enum class VerdictKind { same, faster, slower, ambiguous };

const char* name_of(VerdictKind kind);  // SAME, FASTER, SLOWER, AMBIGUOUS

struct VerdictOpts {
  double threshold = 0.07;   // SAME lies within 1/(1+threshold) .. 1+threshold
  double confidence = 0.99;  // of the interval, over all looks together
  std::int64_t looks = 1;    // how often the growing samples are judged
  bool paired = true;
  double distrust = 0.25;  // unpaired: the share of the yardstick's change that is not believed
};

struct Verdict {
  VerdictKind kind = VerdictKind::ambiguous;
  double ratio = 1, low = 0, high = 0;  // time now over time before; high 0: too few rounds
  std::int64_t count = 0;               // pairs, or the rounds of the shorter side
  std::string text;                     // 1.153x (1.140-1.167, 24 pairs, 99 % interval)
};

// `ms` holds positive finite numbers, at least one a round. Paired sides have equal lengths.
Verdict judge(std::span<const Round> base, std::span<const Round> now, const VerdictOpts& opts);

// How the verdicts were found, in one line for the reader of a table.
std::string method_text(const VerdictOpts& opts);

// The fewest rounds a side that can give a verdict.
std::int64_t fewest_rounds(const VerdictOpts& opts);

double median_of(std::vector<double> values);  // the mean of the two in the middle

}  // namespace lamina::kernel_bench
