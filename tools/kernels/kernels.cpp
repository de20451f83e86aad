// lamina kernels: the kernel regression suite.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "tools/commands.h"
#include "tools/kernels/commands.h"

namespace lamina::cli {

void add_kernels(CLI::App& app, const std::string& program) {
  CLI::App* command = app.add_subcommand("kernels", "test, time and compare the kernels");
  command->require_subcommand(1);
  add_kernels_test(*command, program);
  add_kernels_bench(*command);
  add_kernels_compare(*command);
}

}  // namespace lamina::cli
