// The link-time stand-in for a build without CUDA; the contract is kernels/optimizer.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer.h"

#include "kernels/cuda/stub.h"

LAMINA_CUDA_STUB(
    void,
    sgd_step,
    (Context&, const SgdOpts&, const StepState*, const Tensor&, const Tensor&, const Tensor&))
LAMINA_CUDA_STUB(void,
                 adam_step,
                 (Context&,
                  const AdamOpts&,
                  const StepState*,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&))
LAMINA_CUDA_STUB(void, advance, (Context&, StepState*, std::int64_t))
