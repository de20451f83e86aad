// A build without CUDA links these in place of the CUDA kernels: the room and the symbols are
// there, and every call says what is missing.
//   LAMINA_CUDA_STUB(void, accumulate, (Context&, const Tensor&, const Tensor&))
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/core/error.h"

#define LAMINA_CUDA_STUB(result, name, parameters)                                               \
  namespace lamina::cuda {                                                                       \
  result name parameters {                                                                       \
    ::lamina::fail_request("{}: this build has no CUDA kernels; run with --device cpu.", #name); \
  }                                                                                              \
  }
