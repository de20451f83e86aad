// The link-time stand-in for a build without CUDA; the contract is kernels/conv2d.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv2d.h"

#include "kernels/cuda/stub.h"

LAMINA_CUDA_STUB(std::unique_ptr<Conv2d>, make_conv2d, (Context&, const Conv2dDesc&))
