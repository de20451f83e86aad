// Dropout, one draw an element. Contract: kernels/dropout.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/dropout.h"

#include "engine/core/philox.h"
#include "kernels/checks.h"

namespace lamina {

void ref::dropout(Context& ctx,
                  const DropoutOpts& opts,
                  const StepState* state,
                  const Tensor& x,
                  const Tensor& y) {
  checks::dropout(ctx, opts, state, x, y);
  visit_real(x.dtype, "dropout", [&]<class T>(T) {
    const auto step = static_cast<std::uint32_t>(state->step);
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      const float draw = uniform_from_bits(
          philox_u32(opts.seed, opts.stream, step, static_cast<std::uint64_t>(i)));
      y.as<T>()[i] = draw >= opts.p ? static_cast<T>(x.as<T>()[i] / (1 - opts.p)) : T{0};
    }
  });
}

}  // namespace lamina
