// The subcommands of `lamina`, one file each. Each adds itself to the parser; its callback does the
// work and throws lamina::Error. main() turns errors into one sentence and the exit code.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace CLI {  // NOLINT: the name is the library's
class App;
}

namespace lamina::cli {

void add_train(CLI::App& app);
void add_sweep(CLI::App& app);
void add_eval(CLI::App& app);
void add_predict(CLI::App& app);
void add_features(CLI::App& app);
void add_report(CLI::App& app);
void add_convert(CLI::App& app);
void add_run(CLI::App& app);
void add_summary(CLI::App& app);
void add_nets(CLI::App& app);
void add_recipes(CLI::App& app);
void add_devices(CLI::App& app);
void add_data(CLI::App& app);
void add_bench(CLI::App& app);
void add_profile(CLI::App& app);
// `program`: how the user called it, for commands that are printed.
void add_kernels(CLI::App& app, const std::string& program);

}  // namespace lamina::cli
