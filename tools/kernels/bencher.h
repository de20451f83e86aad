// Somebody who can time kernels: this process, or another build of the program behind two pipes.
//
// The other build is started as `PROGRAM kernels bench --serve [flags]` and answers one line of
// JSON to each line of JSON:
//   {"cases": true}      {"machine": {...}, "cases": [{"case", "op", "pass", "dtype",
//                        "implementation", "bytes", "flops"}, ...]}
//   {"measure": "NAME", "pass": "forward", "dtype": "f32", "samples": 3}
//                        {"ms": [...], "yardstick_ms": 1.02}
//   {"quit": true}       ends, as does the end of its input
// "yardstick_ms" may be left out of bursts. Instead of any answer, {"error": "..."} says what went
// wrong. A visit asks for several bursts of one kernel in a row: keep it set up until another is
// asked for. Nothing else may be written to stdout; stderr is shown when the program dies.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/kernels/bench_file.h"

namespace lamina::kernel_bench {

class Bencher {
 public:
  Bencher() = default;
  Bencher(const Bencher&) = delete;
  Bencher& operator=(const Bencher&) = delete;
  virtual ~Bencher() = default;

  virtual const Machine& machine() = 0;
  virtual const std::vector<CaseInfo>& cases() = 0;
  virtual Round measure(const CaseInfo& info, std::int64_t samples) = 0;
  // The same work by a library; "" where there is none.
  virtual std::string peer(const CaseInfo&) { return {}; }
  // No samples where the library could not do it after all.
  virtual Round measure_peer(const CaseInfo&, std::int64_t /*samples*/) { return {}; }
  // A fresh start: where memory and code come to lie is drawn anew.
  virtual void restart() = 0;
};

struct ChildOpts {
  std::string program;
  std::vector<std::string> flags;        // after `kernels bench --serve`
  double patience_seconds = 300;         // for one answer
  std::function<bool()> stop = nullptr;  // asked while waiting; true ends the wait with a failure
};

// Starts the program, with its OpenMP threads bound to processors of their own unless the user
// decided otherwise (OMP_PROC_BIND, OMP_PLACES). A program that dies, babbles or stays silent is a
// failure that shows the end of what it wrote to stderr. It is ended with this object, whatever it
// is doing.
std::unique_ptr<Bencher> start_child(const ChildOpts& opts);

}  // namespace lamina::kernel_bench
