// Whether this build has code for the GPU at hand.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace lamina::cuda {

bool kernels_run_here();

}  // namespace lamina::cuda
