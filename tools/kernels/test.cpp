// lamina kernels test, coverage: are the kernels right, and what has no case.
// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <map>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "engine/files/atomic_file.h"
#include "kernels/suite/report.h"
#include "tools/common.h"
#include "tools/kernels/case_flags.h"
#include "tools/kernels/commands.h"
#include "tools/kernels/net_layers.h"
#include "tools/kernels/test_report.h"

namespace lamina::cli {
namespace {

using suite::CaseReport;

struct TestFlags {
  CaseFlags cases;
  std::string csv, junit, dump;
  bool verbose = false, no_nets = false;
  std::int64_t most_failures = 20;  // printed with all they say
};

void write_text(const std::string& path, const std::string& text) {
  if (path == "-")
    fmt::print("{}", text);
  else
    write_file_atomically(path, text);
}

bool with_nets(const TestFlags& flags, bool plain) {
  return !flags.no_nets && !(plain && flags.cases.nets.empty());
}

void test(const TestFlags& flags, const std::string& program) {
  CaseFlags cases = flags.cases;
  cases.settle();
  suite::Suite suite;
  const auto [backend, plain] = cases.choose_backend();
  if (with_nets(flags, plain)) add_net_layers(suite, cases);
  // Where CSV goes to stdout, the rest goes elsewhere.
  std::FILE* const out = flags.csv == "-" || flags.junit == "-" ? stderr : stdout;

  std::vector<CaseReport> reports;
  suite::Tally all, table;
  std::string name;
  double seconds = 0;
  const auto close_table = [&] {
    if (!name.empty()) fmt::print(out, "{:<40} {:>6.1f} s  {}\n", name, seconds, table.summary());
    std::fflush(out);
    table = {};
    seconds = 0;
  };
  const auto started = std::chrono::steady_clock::now();
  run_tables(
      cases,
      suite,
      {.backend = backend,
       .report =
           [&](const CaseReport& report) {
             if (report.table != name) {
               close_table();
               name = report.table;
             }
             table.add(report);
             all.add(report);
             seconds += report.seconds;
             if (flags.verbose && report.left_out.empty())
               fmt::print(out,
                          "  {:<70} {:>4.0f} % of its budget {:>8.1f} ms\n",
                          to_string(report.key),
                          100 * report.share,
                          1000 * report.seconds);
             if (!report.failures.empty() && all.failed <= flags.most_failures) {
               for (const std::string& failure : report.failures)
                 fmt::print(out, "FAILED {}\n", failure_text(report.key, failure));
               fmt::print(out, "  again: {}\n", rerun_line(program, report.key, report.table));
             }
             reports.push_back(report);
           },
       .failed =
           [&](const CaseReport& report, const suite::Problem& problem) {
             if (flags.dump.empty() || all.failed > flags.most_failures) return;
             fmt::print(
                 out, "  tensors: {}\n", dump_tensors(flags.dump, report.key, problem).string());
           }});
  close_table();
  LAMINA_CHECK(!reports.empty(), "no case is named so; `lamina kernels list` shows what there is.");
  if (!flags.csv.empty()) write_text(flags.csv, csv_of(reports));
  if (!flags.junit.empty()) write_text(flags.junit, junit_of(reports));
  const double took =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  fmt::print(out,
             "\n{}\n{} of {} cases passed, {} MISTRUSTED, seed {}, {:.1f} s\n",
             all.summary(),
             all.cases - all.failed,
             all.cases,
             all.mistrusted,
             suite::test_seed(),
             took);
  if (all.failed > 0) fail("{} of {} cases failed.", all.failed, all.cases);
}

void list(const TestFlags& flags) {
  CaseFlags cases = flags.cases;
  cases.settle();
  suite::Suite suite;
  const auto [backend, plain] = cases.choose_backend();
  if (with_nets(flags, plain)) add_net_layers(suite, cases);
  run_tables(
      cases,
      suite,
      {.backend = backend,
       .report =
           [](const CaseReport& report) {
             if (report.left_out.empty())
               fmt::print(
                   "{} {} {}\n", report.key.name, report.key.pass, name_of(report.key.dtype));
           },
       .list_only = true});
}

// How many cases each op has, by pass and dtype. A hole is a pass of an op that has cases in one
// dtype of a backend and none in another.
void coverage(const TestFlags& flags) {
  CaseFlags cases = flags.cases;
  cases.settle();
  const suite::Suite suite;
  int holes = 0;
  fmt::print("{:<16}{:<18}{:<8}{:>8}{:>8}{:>8}\n", "op", "pass", "device", "f32", "bf16", "f16");
  // CUDA's dtypes are listed without a device: nothing is run.
  std::map<std::pair<std::string, std::string>, std::map<BackendKind, std::map<DType, int>>> count;
  for (BackendKind backend : {BackendKind::ref, BackendKind::cpu, BackendKind::cuda}) {
    suite::TableOpts opts{.backend = backend,
                          .report =
                              [&](const CaseReport& r) {
                                auto& of_pass = count[{r.key.op(), r.key.pass}];
                                if (r.key.pass != "differences" && r.key.pass != "formula")
                                  of_pass[backend][r.key.dtype] += r.left_out.empty() ? 1 : 0;
                              },
                          .list_only = true};
    run_tables(cases, suite, opts);
  }
  for (auto& [pass, of_backend] : count) {
    if (of_backend.empty()) continue;
    for (BackendKind backend : {BackendKind::ref, BackendKind::cpu, BackendKind::cuda}) {
      std::string line =
          fmt::format("{:<16}{:<18}{:<8}", pass.first, pass.second, name_of(backend));
      for (DType dtype : {DType::f32, DType::bf16, DType::f16}) {
        const auto dtypes = suite::dtypes_of(backend);
        if (std::find(dtypes.begin(), dtypes.end(), dtype) == dtypes.end()) {
          line += fmt::format("{:>8}", "-");
          continue;
        }
        const int cells = of_backend[backend][dtype];
        if (cells == 0) ++holes;
        line += cells == 0 ? fmt::format("{:>8}", "HOLE") : fmt::format("{:>8}", cells);
      }
      fmt::print("{}\n", line);
    }
  }
  fmt::print("{} holes\n", holes);
  if (holes > 0) fail("{} combinations of op, pass and dtype have no case.", holes);
}

}  // namespace

void add_kernels_test(CLI::App& app, const std::string& program) {
  CLI::App* command = app.add_subcommand("test", "hold every kernel against the reference in f64");
  auto flags = std::make_shared<TestFlags>();
  flags->cases.add_to(*command);
  command->add_flag("--no-nets", flags->no_nets, "leave the layers of the nets out");
  command->add_flag("-v,--verbose", flags->verbose, "a line a case");
  command->add_option("--csv", flags->csv, "a line a case, to this file (-: stdout)");
  command->add_option("--junit", flags->junit, "JUnit's XML, to this file (-: stdout)");
  command->add_option("--dump", flags->dump, "tensors of failed cases, to this folder");
  command->add_option("--most-failures", flags->most_failures, "failures to print and to dump");
  command->callback([flags, program] { test(*flags, program); });

  CLI::App* lister = app.add_subcommand("list", "name every case");
  auto list_flags = std::make_shared<TestFlags>();
  list_flags->cases.add_to(*lister);
  lister->add_flag("--no-nets", list_flags->no_nets, "leave the layers of the nets out");
  lister->callback([list_flags] { list(*list_flags); });

  CLI::App* covered =
      app.add_subcommand("coverage", "count the cases by op, pass and dtype; a hole is an error");
  auto cover_flags = std::make_shared<TestFlags>();
  cover_flags->cases.add_to(*covered);
  covered->callback([cover_flags] { coverage(*cover_flags); });
}

}  // namespace lamina::cli
