// Runs a problem: its tensors in the memory of a backend, between canaries.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/suite/problem.h"

namespace lamina::suite {

struct CallOpts {
  unsigned char garbage = 0xFF;  // outputs and workspace start as this byte; 0xFF is NaN
  bool shifted = false;          // tensors start one element off their alignment
  bool in_place = false;
  bool bytes_only = false;  // no values in the outcome
  bool unwatched = false;   // for measuring: nothing is compared, finish() may not be called
};

// The tensors of a problem on a device, filled; run() may be called more than once.
class Instance {
 public:
  Instance(Context& ctx, DType real, const Problem& problem, const CallOpts& opts = {});
  ~Instance();
  Instance(Instance&&) noexcept;

  void run(const std::function<void(Call&)>& body);  // asynchronous on cuda
  Outcome finish();

 private:
  class LiveCall;
  std::unique_ptr<LiveCall> call_;
};

Outcome execute(Context& ctx, DType real, const Problem& problem, const CallOpts& opts = {});

// In f64 on the reference backend: the truth.
Outcome execute_ref(const Problem& problem);

}  // namespace lamina::suite
