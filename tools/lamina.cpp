// lamina: the command line. Exit codes: 0 done, 1 the work failed, 2 the request was wrong.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>

#include "engine/core/error.h"
#include "engine/core/suggest.h"
#include "tools/commands.h"
#include "tools/common.h"

namespace {

constexpr int kFailed = 1, kWrongRequest = 2;

int report(const lamina::Error& error) {
  const bool verbose = std::getenv("LAMINA_VERBOSE") != nullptr;
  fmt::print(stderr, "lamina: {}\n", verbose ? error.details() : error.what());
  return error.kind() == lamina::ErrorKind::request ? kWrongRequest : kFailed;
}

// The subcommand that was being parsed, or the program itself.
const CLI::App& current(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : current(*chosen.front());
}

// What the user may have meant by a word that no option or subcommand has.
std::string suggestion(const CLI::App& app) {
  const CLI::App& command = current(app);
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  const std::vector<std::string> unknown = app.remaining(true);
  if (unknown.empty()) return {};
  return lamina::suggest(unknown.front().substr(0, unknown.front().find('=')), names);
}

}  // namespace

int main(int argc, char** argv) {
  // A limit on file sizes then fails the write, which says what and where, and does not end us.
  std::signal(SIGXFSZ, SIG_IGN);
  lamina::cli::bound_spinning(argv);
  CLI::App app{"Lamina trains the classic convolutional networks, in C++ and CUDA."};
  app.set_version_flag("--version", LAMINA_VERSION);
  app.require_subcommand(1);
  lamina::cli::add_train(app);
  lamina::cli::add_sweep(app);
  lamina::cli::add_eval(app);
  lamina::cli::add_predict(app);
  lamina::cli::add_features(app);
  lamina::cli::add_report(app);
  lamina::cli::add_convert(app);
  lamina::cli::add_run(app);
  lamina::cli::add_summary(app);
  lamina::cli::add_nets(app);
  lamina::cli::add_recipes(app);
  lamina::cli::add_devices(app);
  lamina::cli::add_data(app);
  lamina::cli::add_bench(app);
  lamina::cli::add_profile(app);
  lamina::cli::add_kernels(app, argv[0]);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    const CLI::App& command = current(app);
    fmt::print(stderr,
               "lamina: {}.{} See `lamina {}{}--help`.\n",
               error.what(),
               suggestion(app),
               &command == &app ? "" : command.get_name(),
               &command == &app ? "" : " ");
    return kWrongRequest;
  } catch (const lamina::Error& error) {
    return report(error);
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "lamina: out of memory; lower the batch size.\n");
    return kFailed;
  } catch (const std::exception& error) {
    fmt::print(stderr, "lamina: {}.\n", error.what());
    return kFailed;
  }
  return 0;
}
