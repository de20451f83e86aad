// The layer table and totals that torchinfo prints, by torchinfo's rules.
//
// mult-adds: a convolution counts its parameters (bias included) once per output pixel and sample,
// every other layer with parameters once per sample. Forward/backward bytes: 2 x 4 x the outputs of
// layers with parameters. Rows and mult-adds are those of evaluation, without auxiliary heads; the
// parameters are all of them. https://github.com/TylerYep/torchinfo
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace lamina {

struct SummaryRow {
  std::string name;  // state_dict path
  std::string type;
  Shape output;
  std::int64_t params = 0;
  int depth = 1;      // 1: a child of the net
  int number = 1;     // among the rows of its depth
  bool leaf = true;   // false: a container
  bool last = false;  // of its siblings
  std::int64_t mult_adds = 0;
};

struct Summary {
  std::string title;
  std::int64_t batch = 1;
  Shape input, output;
  std::vector<SummaryRow> rows;  // containers and leaves, in order
  std::int64_t params = 0, mult_adds = 0;
  std::int64_t input_bytes = 0, forward_backward_bytes = 0, params_bytes = 0;
};

Summary summarise(const Graph& graph, std::int64_t batch);
std::string summary_table(const Summary& summary);

}  // namespace lamina
