// SPDX-License-Identifier: Apache-2.0
#include "tools/common.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "engine/core/suggest.h"

namespace lamina::cli {

void NetFlags::add_to(CLI::App& command) {
  command.add_option("--classes", classes, "outputs of the net (0: as defined)");
  command.add_option("--size", size, "height and width of the net's input (0: as defined)");
  command.add_option("--channels", channels, "of the net's input (0: as defined)");
  command.add_option("--width", width, "multiplies the channels of every layer");
  command.add_option("--net-option", others, "KEY=VALUE, such as aux_logits=false; may repeat");
}

Graph build_net_for(const std::string& net, NetOpts& opts, const Dataset& dataset) {
  constexpr std::int64_t kImageNetClasses = 1000;
  Graph graph = build_net(net, opts);
  const std::int64_t classes = graph.classes(), channels = graph.shape(graph.input()).c;
  const bool other_classes = opts.classes == 0 && dataset.classes != classes &&
                             (dataset.classes > classes || classes == kImageNetClasses);
  const bool other_channels = opts.channels == 0 && dataset.c != channels;
  if (!other_classes && !other_channels) return graph;
  if (other_classes) opts.classes = dataset.classes;
  if (other_channels) opts.channels = dataset.c;
  graph = build_net(net, opts);
  fmt::print(stderr,
             "{} is built for {} classes and {} channels, as data set {} has them (it is defined "
             "for {} and {})\n",
             net,
             graph.classes(),
             graph.shape(graph.input()).c,
             dataset.name,
             classes,
             channels);
  return graph;
}

void PassFlags::add_to(CLI::App& command) {
  command.add_flag("--no-fuse", no_fuse, "run every layer by itself");
  command.add_option(
      "--no-pass", off, "leave out this pass of the graph compiler; may repeat (summary --plan)");
  command.add_option("--memory",
                     memory,
                     "MB that the tensors should take: while they take more, cheap ones are made "
                     "again in the backward pass (0: all are kept)");
}

std::optional<std::size_t> PassFlags::memory_bytes() const {
  LAMINA_CHECK(memory >= 0, "--memory {} cannot be negative.", memory);
  if (memory == 0) return std::nullopt;
  return static_cast<std::size_t>(memory) * 1000000;
}

PassSet PassFlags::set() const {
  PassSet set = no_fuse ? PassSet::unfused() : PassSet{};
  for (const std::string& name : off) set.turn_off(name);
  return set;
}

NetOpts NetFlags::opts() const {
  NetOpts opts{.classes = classes, .channels = channels, .size = size, .width = width};
  LAMINA_CHECK(size >= 0 && channels >= 0, "--size and --channels cannot be negative.");
  LAMINA_CHECK(width > 0, "--width {} is not positive.", width);
  for (const std::string& other : others) {
    const std::size_t at = other.find('=');
    LAMINA_CHECK(at != std::string::npos, "a net option is KEY=VALUE, not '{}'.", other);
    opts.set(other.substr(0, at), other.substr(at + 1));
  }
  return opts;
}

namespace {

// Signal handlers can reach nothing but this.
volatile std::sig_atomic_t signals_seen = 0;

extern "C" void on_signal(int signal) {
  signals_seen = signals_seen + 1;
  if (signals_seen > 1) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

}  // namespace

Context open_device(const std::string& device, const OpenOpts& opts) {
  ContextOpts made{.threads = static_cast<int>(opts.threads),
                   .tf32 = opts.precision == Precision::tf32,
                   .autotune = opts.autotune,
                   .winograd = opts.winograd};
  for (BackendKind kind : {BackendKind::cuda, BackendKind::cpu, BackendKind::ref}) {
    if (device == name_of(kind)) {
      check_precision(opts.precision, kind);
      made.backend = kind;
      Context ctx = make_context(made);
      fmt::print(stderr, "device: {} ({})\n", name_of(kind), ctx.device().describe());
      return ctx;
    }
  }
  if (device != "auto") {
    const std::vector<std::string> names{"auto", "cuda", "cpu", "ref"};
    fail_request(
        "unknown device '{}'; give auto, cuda, cpu or ref.{}", device, suggest(device, names));
  }
  std::string reason;
  try {
    made.backend = BackendKind::cuda;
    return make_context(made);
  } catch (const Error& error) {
    reason = error.what();
  }
  check_precision(opts.precision, BackendKind::cpu);
  made.backend = BackendKind::cpu;
  Context ctx = make_context(made);
  fmt::print(stderr,
             "device: cpu ({}), because CUDA cannot run here: {}\n",
             ctx.device().describe(),
             reason);
  return ctx;
}

void bound_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("GOMP_SPINCOUNT", "2000", 1);
  // Kernels that are timed stay where they are: two threads on one core would look like a change.
  const bool timed = argv[1] != nullptr && argv[2] != nullptr &&
                     std::string_view(argv[1]) == "kernels" && std::string_view(argv[2]) == "bench";
  if (timed && std::getenv("OMP_PROC_BIND") == nullptr && std::getenv("OMP_PLACES") == nullptr) {
    setenv("OMP_PROC_BIND", "close", 1);
    setenv("OMP_PLACES", "threads", 1);
  }
  execv("/proc/self/exe", argv);  // returns only when it cannot, and then nothing is lost
}

void catch_interrupts() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() { return signals_seen > 0; }

Dataset load_with_notes(const std::string& name, Part part, DataOpts opts) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kRedraw{200};
  Clock::time_point next = Clock::now() + kRedraw;
  bool shown = false;
  if (isatty(STDERR_FILENO) == 1) {
    opts.progress = [&](std::int64_t done, std::int64_t total) {
      if (Clock::now() < next) return;
      next = Clock::now() + kRedraw;
      shown = true;
      fmt::print(stderr, "\r\033[Kdecoding the {} images: {} of {}", name_of(part), done, total);
      std::fflush(stderr);
    };
  }
  // Whatever comes next, an error too, starts on a line of its own.
  const auto clear = [&] {
    if (shown) fmt::print(stderr, "\r\033[K");
  };
  try {
    Dataset data = load_dataset(name, part, opts);
    clear();
    for (const std::string& note : data.notes) fmt::print(stderr, "{}\n", note);
    return data;
  } catch (...) {
    clear();
    throw;
  }
}

}  // namespace lamina::cli
