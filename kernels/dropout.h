// Dropout: y = x * keep / (1 - p), keep in {0, 1} with probability 1 - p.
//   x, y  any shape, same dtype. y may be x.
// Element i is kept when uniform(philox(seed, stream, step, i)) >= p (engine/core/philox.h), so the
// mask is never stored: backward calls the same function on dy with the same step. p = 1 gives
// zeros.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/core/step_state.h"
#include "kernels/op.h"

namespace lamina {

struct DropoutOpts {
  double p = 0.5;
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;  // the layer's number in its net
};

// `state` is in device memory; its step (low 32 bits) enters the draw.
using dropout_fn = void(Context& ctx,
                        const DropoutOpts& opts,
                        const StepState* state,
                        const Tensor& x,
                        const Tensor& y);
LAMINA_OP(dropout)

}  // namespace lamina
