// Which cases of the kernel suite a command is about: the flags that its subcommands share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/suite/suite.h"

namespace CLI {  // NOLINT: the name is the library's
class App;
}

namespace lamina::cli {

struct CaseFlags {
  std::vector<std::string> ops, tables, cases, passes, dtypes, nets, layers;
  std::string device = "auto";
  std::int64_t batch = 0;  // of the layers of nets; 0: what the command takes
  std::int64_t seed = -1;  // -1: the environment's, or 1

  void add_to(CLI::App& command);

  // Checks the words against what there is, and sets the seed of all data. Call it before the suite
  // is made.
  void settle();

  // The backend of --device; auto is CUDA where it can run and else the CPU, and is said on stderr.
  struct Chosen {
    BackendKind backend;
    bool plain;  // loops for checking alone: whole layers would take them hours
  };
  Chosen choose_backend() const;

  bool wants(const suite::Suite::Entry& entry) const;
  bool wants(const suite::CaseKey& key) const;
};

// Whether there is no pattern, or one that the text equals or matches (* and ?).
bool any_matches(const std::vector<std::string>& patterns, const std::string& text);

// Runs every wanted table over `opts`, whose wants() is set here.
void run_tables(const CaseFlags& flags, const suite::Suite& suite, suite::TableOpts opts);

}  // namespace lamina::cli
