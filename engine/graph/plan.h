// What a Program decided, for people to read: what runs each layer, what the passes did, and where
// the memory goes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "engine/graph/program.h"

namespace lamina {

struct PlanRow {
  std::string name, type, implementation;  // type: PyTorch's
  Shape output;
  std::size_t output_bytes = 0, workspace_bytes = 0;
  int reorders = 0;  // operands copied into another layout in a step
};

struct Plan {
  std::vector<PlanRow> rows;  // in the order of the forward pass
  std::vector<PassNote> notes;
  std::size_t parameter_bytes = 0, gradient_bytes = 0;
  std::size_t tensor_bytes = 0;    // activations and their gradients, in shared memory
  std::size_t unshared_bytes = 0;  // if each had memory of its own
  std::size_t workspace_bytes = 0;
};

Plan plan_of(const Model& model, const Program& program);
// The rows and the notes; and the sums of memory.
std::string plan_table(const Plan& plan);
std::string plan_memory_lines(const Plan& plan);

}  // namespace lamina
