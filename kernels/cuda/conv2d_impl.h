// The implementations behind cuda::make_conv2d, for it and for tests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/conv2d.h"

namespace lamina::cuda {

// cuDNN, any shape (conv2d.cpp).
std::unique_ptr<Conv2d> make_cudnn_conv2d(Context& ctx, const Conv2dDesc& desc);

// Our own kernels for a filter a channel (conv2d_depthwise.cu).
bool depthwise_can_run(const Conv2dDesc& desc);
std::unique_ptr<Conv2d> make_depthwise_conv2d(Context& ctx, const Conv2dDesc& desc);

}  // namespace lamina::cuda
