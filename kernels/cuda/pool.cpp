// The link-time stand-in for a build without CUDA; the contract is kernels/pool.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/pool.h"

#include "kernels/cuda/stub.h"

LAMINA_CUDA_STUB(void,
                 max_pool_forward,
                 (Context&, const PoolOpts&, const Tensor&, const Tensor&, const Tensor&))
LAMINA_CUDA_STUB(void,
                 max_pool_backward,
                 (Context&, const PoolOpts&, const Tensor&, const Tensor&, const Tensor&))
LAMINA_CUDA_STUB(void, avg_pool_forward, (Context&, const PoolOpts&, const Tensor&, const Tensor&))
LAMINA_CUDA_STUB(void, avg_pool_backward, (Context&, const PoolOpts&, const Tensor&, const Tensor&))
