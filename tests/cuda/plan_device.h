// A CUDA device that is only described: cuDNN makes plans for it, nothing can run on it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/core/context.h"
#include "kernels/cuda/cudnn.h"

namespace lamina::test {

// file: a description as in tests/cuda/devices (put together from data sheets, in the form that
// cuDNN reads).
cuda::CudnnTarget plan_target(const std::string& file, cuda::F32Math f32 = cuda::F32Math::exact);

// Memory is the host's, so that what is built for the device can be built.
Context plan_context(const std::string& file, cuda::F32Math f32);

}  // namespace lamina::test
