// What a pass of a layer has to do at least, and how fast this machine can do that; for `lamina
// bench` and `lamina profile`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "engine/graph/program.h"

namespace lamina::cli {

// Multiply-adds count twice, as a direct algorithm does them; every operand is read and every
// result written once.
struct PassWork {
  double flops = 0, bytes = 0;
};

// pass: as Program's observer calls it. Nothing for passes that are no layer's.
PassWork work_of(const Program& program, const std::string& layer, std::string_view pass);

// Rates of large copies, reading and writing together, and of products of large matrices.
struct Ceilings {
  double gbps = 0, tflops = 0;
  // Milliseconds below which this machine cannot go, but for what its caches hold.
  double floor_ms(const PassWork& work) const;
};
Ceilings measure_ceilings(Context& ctx, DType dtype);

}  // namespace lamina::cli
