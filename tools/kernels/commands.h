// The subcommands of `lamina kernels`, one file each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace CLI {  // NOLINT: the name is the library's
class App;
}

namespace lamina::cli {

// test, list and coverage. `program` is what the lines that run a case again begin with.
void add_kernels_test(CLI::App& app, const std::string& program);

void add_kernels_bench(CLI::App& app);

// It ends with a failure (exit code 1) when a kernel is slower.
void add_kernels_compare(CLI::App& kernels);

}  // namespace lamina::cli
