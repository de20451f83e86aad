// Owners of cuBLASLt's descriptors, and the library handle of a context.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublasLt.h>

#include "engine/core/context.h"
#include "engine/core/handle.h"
#include "kernels/cuda/check.h"

namespace lamina::cuda {

using LtHandle = Handle<cublasLtHandle_t, &cublasLtDestroy>;
using LtMatmul = Handle<cublasLtMatmulDesc_t, &cublasLtMatmulDescDestroy>;
using LtLayout = Handle<cublasLtMatrixLayout_t, &cublasLtMatrixLayoutDestroy>;
using LtPreference = Handle<cublasLtMatmulPreference_t, &cublasLtMatmulPreferenceDestroy>;

// Null where there is no device to ask: descriptors can be made then, products cannot be planned.
cublasLtHandle_t cublaslt_of(Context& ctx);

}  // namespace lamina::cuda
