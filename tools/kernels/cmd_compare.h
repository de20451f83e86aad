// `lamina kernels compare`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace CLI {
class App;
}

namespace lamina::cli {

// Adds the subcommand to `lamina kernels`. It ends with a failure (exit code 1) when a kernel is
// slower.
void add_kernels_compare(CLI::App& kernels);

}  // namespace lamina::cli
