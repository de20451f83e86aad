// lamina kernels bench: how fast each kernel is, cold, against this device's ceilings and the
// libraries' kernels; and the server that `lamina kernels compare` talks to.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <ctime>
#include <iostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/files/atomic_file.h"
#include "tools/common.h"
#include "tools/kernels/bench_table.h"
#include "tools/kernels/commands.h"
#include "tools/kernels/compare.h"
#include "tools/kernels/html_view.h"
#include "tools/kernels/local_bencher.h"

namespace lamina::cli {
namespace {

using Json = nlohmann::json;
using kernel_bench::CaseInfo;

struct BenchFlags {
  CaseFlags cases;
  std::int64_t threads = 0, rounds = 20;
  double burst_ms = 30, handicap_percent = 0;
  std::string save, baseline, html;
  bool csv = false, serve = false, no_peers = false;
};

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  char text[32];
  return std::string(
      text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts)));
}

Json machine_json(const kernel_bench::Machine& machine) {
  Json json;
  for (const auto& [name, value] : machine) json[name] = value;
  return json;
}

// One line of JSON for one line of JSON, as bencher.h has it.
Json answer(LocalBencher& bencher, const Json& request) {
  if (request.contains("cases")) {
    Json cases = Json::array();
    for (const CaseInfo& c : bencher.cases())
      cases.push_back({{"case", c.name},
                       {"op", c.op},
                       {"pass", c.pass},
                       {"dtype", c.dtype},
                       {"implementation", c.implementation},
                       {"bytes", c.bytes},
                       {"flops", c.flops}});
    return {{"machine", machine_json(bencher.machine())}, {"cases", cases}};
  }
  const CaseInfo wanted{.name = request.at("measure"),
                        .op = {},
                        .pass = request.at("pass"),
                        .dtype = request.at("dtype"),
                        .implementation = {}};
  const kernel_bench::Round round = bencher.measure(wanted, request.at("samples"));
  return {{"ms", round.ms}, {"yardstick_ms", round.yardstick_ms}};
}

void serve(LocalBencher& bencher) {
  for (std::string line; std::getline(std::cin, line);) {
    Json reply;
    try {
      const Json request = Json::parse(line);
      if (request.contains("quit")) return;
      reply = answer(bencher, request);
    } catch (const std::exception& error) {
      reply = {{"error", error.what()}};
    }
    std::cout << reply << std::endl;
  }
}

void bench(BenchFlags flags) {
  LAMINA_CHECK(flags.rounds > 0 && flags.burst_ms > 0 && flags.handicap_percent >= 0,
               "--rounds and --burst-ms must be positive, and --handicap not negative.");
  flags.cases.settle();
  Context ctx = open_device(flags.cases.device, {.threads = flags.threads});
  LocalBencher bencher(
      ctx,
      flags.cases,
      {.peers = !flags.no_peers && !flags.serve, .handicap = flags.handicap_percent / 100});
  if (flags.serve) return serve(bencher);

  catch_interrupts();
  kernel_bench::CompareOpts opts{
      .burst_ms = flags.burst_ms, .rounds = flags.rounds, .stop = interrupted};
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  if (terminal)
    opts.progress = [](const std::string& text) { fmt::print(stderr, "\r\033[K{}", text); };
  kernel_bench::BenchFile file = record(bencher, opts);
  if (terminal) fmt::print(stderr, "\r\033[K");
  file.date = now_text();
  file.ceilings = bencher.ceilings();
  fmt::print("{}", flags.csv ? bench_csv(file) : bench_table(file));
  if (!flags.save.empty()) save_bench_file(file, flags.save);
  if (flags.html.empty()) return;
  if (flags.baseline.empty()) {
    write_file_atomically(flags.html, bench_html(file, {}));
    return;
  }
  const kernel_bench::BenchFile base = kernel_bench::load_bench_file(flags.baseline);
  const kernel_bench::Comparison changes = compare_files(base, file, opts);
  write_file_atomically(flags.html,
                        bench_html(file, {.changes = &changes, .base_date = base.date}));
}

}  // namespace

void add_kernels_bench(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "bench", "time kernels with cold caches; without filters the layers of two nets");
  auto flags = std::make_shared<BenchFlags>();
  flags->cases.add_to(*command);
  command->add_option("--threads", flags->threads, "CPU threads (0: as many as there are)");
  command->add_option("--rounds", flags->rounds, "visits of each kernel");
  command->add_option("--burst-ms", flags->burst_ms, "about as long a visit takes");
  command->add_option("--save", flags->save, "write the result, for compare and --baseline");
  command->add_option("--html", flags->html, "write a page");
  command->add_option(
      "--baseline", flags->baseline, "a saved result: what changed since, on the page");
  command->add_flag("--csv", flags->csv, "print CSV");
  command->add_flag("--no-peers", flags->no_peers, "leave the libraries' kernels out");
  command->add_option("--handicap",
                      flags->handicap_percent,
                      "slow every kernel down by so many percent, to see that compare finds it");
  command->add_flag("--serve", flags->serve, "answer requests on stdin, for compare");
  command->callback([flags] { bench(*flags); });
}

}  // namespace lamina::cli
