// `lamina kernels compare BASE NEW`: which kernels got slower.
//
// Each side is a bench file or a program. Two programs are measured now, side by side: bursts
// alternate base, new, new, base, and a kernel is visited again and again, minutes apart in a long
// list, until its verdict is clear or the limits are reached. The first looks at few pairs settle
// most rows. What did not come out SAME is then measured from scratch by freshly started programs,
// until three starts agree: where memory, code and threads happen to lie can by itself change a
// kernel of microseconds by some percent for as long as a program lives. With a file on either side
// there is nothing to interleave, and the yardsticks of verdict.h have to do.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/kernels/bench_file.h"
#include "tools/kernels/bencher.h"
#include "tools/kernels/verdict.h"

namespace lamina::kernel_bench {

struct CompareOpts {
  std::string base, now;           // a bench file (.json) or a program
  std::vector<std::string> flags;  // for programs, after `kernels bench --serve`
  double threshold = 0.07, confidence = 0.99;
  std::int64_t most_pairs = 96;          // of bursts, a kernel and start
  double burst_ms = 30;                  // a burst takes 3 to 15 samples, as many as fit in here
  double minutes = 0;                    // limit of the whole comparison; 0: none
  std::int64_t rounds = 20;              // of a program that is compared with a file
  bool force = false;                    // compare files of different machines
  std::function<bool()> stop = nullptr;  // asked often; true ends the measuring
  std::function<void(const std::string&)> progress = nullptr;
};

struct ComparedRow {
  CaseInfo info;  // as the new side has it
  Verdict verdict;
  std::string note;  // "" or what else there is to know
};

struct Comparison {
  std::vector<ComparedRow> rows;
  std::vector<std::string> only_base, only_now;  // keys of rows without a counterpart
  std::vector<std::string> changed;              // facts of the machine and libraries that differ
  std::string warning;                           // "" or why to doubt all of it
  std::string method;
  BenchFile measured;  // the new side's times
  bool interrupted = false;

  std::int64_t count(VerdictKind kind) const;
};

Comparison compare(const CompareOpts& opts);
Comparison compare_files(const BenchFile& base, const BenchFile& now, const CompareOpts& opts);
Comparison compare_benchers(Bencher& base, Bencher& now, const CompareOpts& opts);

// A whole bench result of one program.
BenchFile record(Bencher& bencher, const CompareOpts& opts);

// Writers. The text has one line a row, SLOWER first, and a summary at the end.
std::string comparison_text(const Comparison& comparison);
std::string comparison_csv(const Comparison& comparison);
std::string comparison_json(const Comparison& comparison);
std::string summary_line(const Comparison& comparison);

// 1 when a row is slower, or when the comparison was interrupted; else 0.
int exit_code(const Comparison& comparison);

}  // namespace lamina::kernel_bench
