// The link-time stand-in for a build without CUDA; the contract is kernels/batch_norm.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/batch_norm.h"

#include "kernels/cuda/stub.h"

LAMINA_CUDA_STUB(void,
                 batch_norm_train,
                 (Context&,
                  const BatchNormOpts&,
                  const Tensor&,
                  const BatchNormParams&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&))
LAMINA_CUDA_STUB(
    void,
    batch_norm_infer,
    (Context&, const BatchNormOpts&, const Tensor&, const BatchNormParams&, const Tensor&))
LAMINA_CUDA_STUB(void,
                 batch_norm_backward,
                 (Context&,
                  const BatchNormOpts&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&))
LAMINA_CUDA_STUB(void,
                 batch_norm_backward_frozen,
                 (Context&,
                  const BatchNormOpts&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&,
                  const BatchNormParams&,
                  const Tensor&,
                  const Tensor&,
                  const Tensor&))
