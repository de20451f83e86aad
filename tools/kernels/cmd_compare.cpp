// lamina kernels compare: which kernels got slower between two results, or two builds.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <ctime>

#include "engine/core/error.h"
#include "engine/files/atomic_file.h"
#include "tools/common.h"
#include "tools/kernels/commands.h"
#include "tools/kernels/compare.h"
#include "tools/kernels/html_view.h"

namespace lamina::cli {
namespace {

struct CompareFlags {
  kernel_bench::CompareOpts opts;
  double threshold_percent = 7;
  bool csv = false, json = false;
  std::string html;
};

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  char text[32];
  return std::string(text,
                     std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", localtime_r(&now, &parts)));
}

void write_page(const std::string& path, const kernel_bench::Comparison& comparison) {
  kernel_bench::BenchFile measured = comparison.measured;
  if (measured.date.empty()) measured.date = today();
  write_file_atomically(path, kernel_bench::bench_html(measured, {.changes = &comparison}));
}

void run_compare(CompareFlags flags) {
  LAMINA_CHECK(flags.threshold_percent > 0 && flags.threshold_percent < 100,
               "--threshold is a percentage between 0 and 100, not {}.",
               flags.threshold_percent);
  catch_interrupts();
  flags.opts.threshold = flags.threshold_percent / 100;
  flags.opts.stop = interrupted;
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  if (terminal)
    flags.opts.progress = [](const std::string& text) {
      fmt::print(stderr, "\r\033[K{}", text);
      std::fflush(stderr);
    };
  const kernel_bench::Comparison comparison = kernel_bench::compare(flags.opts);
  if (terminal) fmt::print(stderr, "\r\033[K");
  fmt::print("{}",
             flags.json  ? comparison_json(comparison)
             : flags.csv ? comparison_csv(comparison)
                         : comparison_text(comparison));
  std::fflush(stdout);
  if (!flags.html.empty()) write_page(flags.html, comparison);
  if (comparison.interrupted) fail("Interrupted; the rows above are what was known by then.");
  if (exit_code(comparison) != 0)
    fail("{} of {} kernels are slower.",
         comparison.count(kernel_bench::VerdictKind::slower),
         comparison.rows.size());
}

}  // namespace

void add_kernels_compare(CLI::App& kernels) {
  CLI::App* command =
      kernels.add_subcommand("compare", "tell which kernels got slower or faster, and how surely");
  auto flags = std::make_shared<CompareFlags>();
  kernel_bench::CompareOpts& opts = flags->opts;
  command->add_option("base", opts.base, "a bench file (.json) or a build's program")->required();
  command->add_option("new", opts.now, "a bench file (.json) or a build's program")->required();
  command->add_option("--threshold", flags->threshold_percent, "percent that count as a change");
  command->add_option("--confidence", opts.confidence, "of the intervals, over all looks");
  command->add_option(
      "--pairs", opts.most_pairs, "bursts a kernel and start at most, for two programs");
  command->add_option("--rounds", opts.rounds, "of a program that is compared with a file");
  command->add_option("--minutes", opts.minutes, "limit of the whole comparison (0: none)");
  command->add_option("--bench-flag",
                      opts.flags,
                      "for the programs' `kernels bench`, as --bench-flag=--device=cpu");
  command->add_flag("--force", opts.force, "compare results of different machines");
  command->add_option("--html", flags->html, "write a page as well");
  command->add_flag("--csv", flags->csv, "print CSV");
  command->add_flag("--json", flags->json, "print JSON");
  command->callback([flags] { run_compare(*flags); });
}

}  // namespace lamina::cli
