// A convolution in the words of cuDNN's graph interface. Shapes only: the same graph is planned for
// the device at hand or for one that is only described.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "kernels/conv2d.h"
#include "kernels/cuda/cudnn.h"

namespace lamina::cuda {

enum class Conv2dPass { forward, backward_data, backward_weights };

// What a forward graph does to the sums before it stores them.
enum class Epilogue { none, bias, bias_relu };

// The uids of a graph's tensors. A gradient has the uid of what it is the gradient of.
enum Conv2dUid : std::int64_t { kX = 1, kW, kB, kY };

// The backward passes take no epilogue.
std::shared_ptr<cudnn_frontend::graph::Graph> conv2d_graph(const Conv2dDesc& desc,
                                                           Conv2dPass pass,
                                                           Epilogue epilogue = Epilogue::none);

}  // namespace lamina::cuda
