// The link-time stand-in for a build without CUDA; the contract is kernels/linear.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear.h"

#include "kernels/cuda/stub.h"

LAMINA_CUDA_STUB(std::unique_ptr<Linear>, make_linear, (Context&, const LinearDesc&))
