// The link-time stand-in for a build without CUDA; the contract is kernels/dropout.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/dropout.h"

#include "kernels/cuda/stub.h"

LAMINA_CUDA_STUB(void,
                 dropout,
                 (Context&, const DropoutOpts&, const StepState*, const Tensor&, const Tensor&))
