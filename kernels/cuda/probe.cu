// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/probe.h"

#include <cuda_runtime_api.h>

namespace lamina::cuda {
namespace {

__global__ void nothing() {}

}  // namespace

bool kernels_run_here() {
  cudaFuncAttributes attributes{};
  const bool found = cudaFuncGetAttributes(&attributes, nothing) == cudaSuccess;
  static_cast<void>(cudaGetLastError());  // a refusal must not show up in the next check
  return found;
}

}  // namespace lamina::cuda
