// How long a plan runs on a GPU, by its own clock.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <memory>

#include "kernels/cuda/cudnn.h"

namespace lamina::cuda {

// Times what is launched on `stream` of `device`; both must outlive the timer.
std::unique_ptr<PlanTimer> make_plan_timer(Device& device, cudaStream_t stream);

}  // namespace lamina::cuda
