// The link-time stand-in for a build without CUDA; the contract is kernels/softmax.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/softmax.h"

#include "kernels/cuda/stub.h"

LAMINA_CUDA_STUB(void, softmax_forward, (Context&, const Tensor&, const Tensor&))
LAMINA_CUDA_STUB(void, softmax_backward, (Context&, const Tensor&, const Tensor&, const Tensor&))
LAMINA_CUDA_STUB(void, log_softmax_forward, (Context&, const Tensor&, const Tensor&))
LAMINA_CUDA_STUB(void,
                 log_softmax_backward,
                 (Context&, const Tensor&, const Tensor&, const Tensor&))
