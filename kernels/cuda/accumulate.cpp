// The link-time stand-in for a build without CUDA; the contract is kernels/accumulate.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/accumulate.h"

#include "kernels/cuda/stub.h"

LAMINA_CUDA_STUB(void, accumulate, (Context&, const Tensor&, const Tensor&))
