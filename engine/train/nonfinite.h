// Finds the first layer that makes a value which is not finite, and says what went in
// (`lamina train --debug nan`).
//
// Looks at every tensor of every pass on the host: slow, and meant to be. The program has to be
// compiled without fusion, so that every layer has tensors of its own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <string_view>

#include "engine/graph/program.h"

namespace lamina {

class NonfiniteWatch {
 public:
  // Observes the program from now on; a pass whose results are not finite throws. Both outlive it.
  // In f16 the backward pass is not looked at: with a loss scale its overflows are part of the
  // plan.
  NonfiniteWatch(Model& model, Program& program);

 private:
  void before(std::size_t node, std::string_view pass);
  void after(std::size_t node, std::string_view pass);
  void after_loss();
  std::size_t node_of(const std::string& name) const;

  Model* model_;
  Program* program_;
  std::string went_in_;  // of the pass that runs
};

}  // namespace lamina
