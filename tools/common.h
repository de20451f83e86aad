// What several subcommands share: choosing the device, and Ctrl-C.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/core/precision.h"
#include "engine/data/dataset.h"
#include "engine/graph/passes.h"
#include "kernels/context.h"
#include "nets/registry.h"

namespace CLI {  // NOLINT: the name is the library's
class App;
}

namespace lamina::cli {

// What a definition leaves open, as flags: --classes, --size, --channels, --width and --net-option.
struct NetFlags {
  std::int64_t classes = 0, size = 0, channels = 0;
  double width = 1.0;
  std::vector<std::string> others = {};  // KEY=VALUE

  void add_to(CLI::App& command);
  NetOpts opts() const;
};

// The passes of the graph compiler as flags: --no-fuse, --no-pass NAME and --memory MB.
struct PassFlags {
  bool no_fuse = false;
  std::vector<std::string> off = {};
  std::int64_t memory = 0;

  void add_to(CLI::App& command);
  PassSet set() const;
  std::optional<std::size_t> memory_bytes() const;  // as ProgramOpts takes it
};

// The net for this data set: where the options leave them open, channels are the data's, and so are
// the classes of a net that has too few or the thousand of ImageNet. What was changed is written
// back to the options and said on stderr.
Graph build_net_for(const std::string& net, NetOpts& opts, const Dataset& dataset);

// device: auto, cuda, cpu or ref. auto takes CUDA where it can run and else the CPU; the choice and
// its reason go to stderr. A device that was named is used or refused, never replaced; so is a
// precision.
struct OpenOpts {
  std::int64_t threads = 0;  // 0: as many as there are
  Precision precision = Precision::fp32;
  bool autotune = false, winograd = false;  // see ContextOpts
};
Context open_device(const std::string& device, const OpenOpts& opts);

// Threads that wait for one another spin before they sleep. libgomp spins for milliseconds, which
// on a machine with other work takes the very processor that the awaited thread needs: a step of
// lenet_bn was seen to take 744 ms instead of 1.2, and 4 with this bound, which costs an idle
// machine nothing. libgomp reads the environment when it is loaded, so the program starts itself
// again. Does nothing where the user set GOMP_SPINCOUNT or OMP_WAIT_POLICY.
void bound_spinning(char** argv);

// From here on the first Ctrl-C (or SIGTERM) is remembered, the second ends the process.
void catch_interrupts();
bool interrupted();

// load_dataset, with a line on stderr that counts where photographs take their time to decode, and
// with what there is to tell about them.
Dataset load_with_notes(const std::string& name, Part part, DataOpts opts);

}  // namespace lamina::cli
