// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/case_flags.h"

#include <algorithm>
#include <cstdlib>

#include <fnmatch.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "engine/core/suggest.h"
#include "tools/common.h"

namespace lamina::cli {

bool any_matches(const std::vector<std::string>& patterns, const std::string& text) {
  return patterns.empty() ||
         std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
           return pattern == text || fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
         });
}

namespace {

void check_words(const char* flag,
                 const std::vector<std::string>& words,
                 const std::vector<std::string>& known) {
  for (const std::string& word : words) {
    const bool found = std::any_of(known.begin(), known.end(), [&](const std::string& name) {
      return fnmatch(word.c_str(), name.c_str(), 0) == 0;
    });
    LAMINA_CHECK(found,
                 "{} {}: there is none of this name.{} Known: {}.",
                 flag,
                 word,
                 suggest(word, known),
                 fmt::join(known, ", "));
  }
}

}  // namespace

void CaseFlags::add_to(CLI::App& command) {
  const auto list = [&](const char* flag, std::vector<std::string>& to, const char* help) {
    return command.add_option(flag, to, help)->delimiter(',')->take_all();
  };
  list("--op", ops, "files of kernels/suite: conv2d, pool, ... (several: with commas)");
  list("--table", tables, "tables of them; * and ? stand for anything");
  list("--case", cases, "cases by their names; * and ? stand for anything");
  list("--pass", passes, "forward, backward, data, weights, ...");
  list("--dtype", dtypes, "f32, bf16 or f16");
  list("--net", nets, "only layers of these nets");
  list("--layer", layers, "only these layers of nets; * and ? stand for anything");
  command.add_option("--batch", batch, "images of the layers of nets");
  command.add_option("--device", device, "auto, cuda, cpu or ref");
  command.add_option("--seed", seed, "of all data and random shapes");
}

void CaseFlags::settle() {
  // One seed for all of the process: tables draw shapes before any case has options.
  if (seed >= 0) setenv("LAMINA_TEST_SEED", std::to_string(seed).c_str(), 1);
  std::vector<std::string> known_ops, known_tables;
  const suite::Suite suite;
  for (const suite::Suite::Entry& entry : suite.entries()) {
    if (known_ops.empty() || known_ops.back() != entry.op) known_ops.push_back(entry.op);
    known_tables.push_back(entry.name);
  }
  known_tables.push_back(suite::kLayersOfNets);
  std::sort(known_tables.begin(), known_tables.end());
  known_tables.erase(std::unique(known_tables.begin(), known_tables.end()), known_tables.end());
  check_words("--op", ops, known_ops);
  check_words("--table", tables, known_tables);
  check_words("--dtype", dtypes, {"f32", "bf16", "f16"});
  std::vector<std::string> known_nets;
  for (const NetInfo& net : lamina::nets()) known_nets.push_back(net.id);
  check_words("--net", nets, known_nets);
  LAMINA_CHECK(batch >= 0, "--batch {} is negative.", batch);
}

CaseFlags::Chosen CaseFlags::choose_backend() const {
  const Context ctx = open_device(device, {});
  const BackendKind kind = ctx.backend();
  // CUDA kernels that run on the host have the host's memory: tests/simt.
  const bool on_host = kind == BackendKind::cuda && !ctx.device().free_bytes();
  return {kind, on_host || kind == BackendKind::ref};
}

bool CaseFlags::wants(const suite::Suite::Entry& entry) const {
  const bool of_nets = entry.name == suite::kLayersOfNets;
  if (!of_nets && (!nets.empty() || !layers.empty())) return false;
  return any_matches(ops, entry.op) && any_matches(tables, entry.name);
}

bool CaseFlags::wants(const suite::CaseKey& key) const {
  return any_matches(cases, key.name) && (key.pass.empty() || any_matches(passes, key.pass)) &&
         any_matches(dtypes, std::string(name_of(key.dtype)));
}

void run_tables(const CaseFlags& flags, const suite::Suite& suite, suite::TableOpts opts) {
  opts.wants = [&flags](const suite::CaseKey& key) { return flags.wants(key); };
  for (const suite::Suite::Entry& entry : suite.entries()) {
    if (!flags.wants(entry)) continue;
    suite::TableOpts own = opts;
    own.table = entry.op + "." + entry.name;
    if (entry.gradients) own.backend = BackendKind::ref;
    suite::Table table(std::move(own));
    entry.run(table);
  }
}

}  // namespace lamina::cli
