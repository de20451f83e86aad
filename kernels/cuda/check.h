// Checked calls of the CUDA runtime and of cuBLAS.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace lamina::cuda {

[[noreturn]] void cuda_failed(int status, const char* expression, const char* file, int line);
[[noreturn]] void cublas_failed(int status, const char* expression, const char* file, int line);

}  // namespace lamina::cuda

#define LAMINA_CUDA_CHECK(expression)                                               \
  do {                                                                              \
    if (const int lamina_status = static_cast<int>(expression); lamina_status != 0) \
      ::lamina::cuda::cuda_failed(lamina_status, #expression, __FILE__, __LINE__);  \
  } while (false)

#define LAMINA_CUBLAS_CHECK(expression)                                              \
  do {                                                                               \
    if (const int lamina_status = static_cast<int>(expression); lamina_status != 0)  \
      ::lamina::cuda::cublas_failed(lamina_status, #expression, __FILE__, __LINE__); \
  } while (false)
