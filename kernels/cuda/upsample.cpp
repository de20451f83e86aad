// The link-time stand-in for a build without CUDA; the contract is kernels/upsample.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/upsample.h"

#include "kernels/cuda/stub.h"

LAMINA_CUDA_STUB(void, upsample_forward, (Context&, const Tensor&, const Tensor&))
LAMINA_CUDA_STUB(void, upsample_backward, (Context&, const Tensor&, const Tensor&))
