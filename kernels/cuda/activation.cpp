// The link-time stand-in for a build without CUDA; the contract is kernels/activation.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/activation.h"

#include "kernels/cuda/stub.h"

LAMINA_CUDA_STUB(void, act_forward, (Context&, Act, const Tensor&, const Tensor&))
LAMINA_CUDA_STUB(void, act_backward, (Context&, Act, const Tensor&, const Tensor&, const Tensor&))
