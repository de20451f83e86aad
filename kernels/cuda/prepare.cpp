// The link-time stand-in for a build without CUDA; the contract is kernels/prepare.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/prepare.h"

#include "kernels/cuda/stub.h"

LAMINA_CUDA_STUB(void,
                 prepare,
                 (Context&,
                  const PrepareOpts&,
                  const StepState*,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&))
