// The link-time stand-in for a build without CUDA; the contract is kernels/loss.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/loss.h"

#include "kernels/cuda/stub.h"

LAMINA_CUDA_STUB(
    void,
    cross_entropy,
    (Context&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Metrics&))
LAMINA_CUDA_STUB(
    void,
    nll,
    (Context&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Metrics&))
