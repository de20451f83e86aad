// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/cublaslt.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <string>
#include <type_traits>

namespace lamina::cuda {
namespace {

// By its name, as the system looks for libraries, else where CMake found it. It is never closed.
void* load() {
  constexpr int kVersion = CUDART_VERSION / 1000;  // the library's as well
  const std::string name = fmt::format("libcublasLt.so.{}", kVersion);
  if (void* const library = dlopen(name.c_str(), RTLD_NOW)) return library;
  if (void* const library = dlopen(LAMINA_CUBLASLT_LIBRARY, RTLD_NOW)) return library;
  fail_request(
      "{} cannot be loaded ({}); add the folder of CUDA {}'s libraries to LD_LIBRARY_PATH.",
      name,
      dlerror(),
      kVersion);
}

}  // namespace

CublasLt::CublasLt() {
  void* const library = load();
  const auto find = [&](auto& function, const char* name) {
    void* const found = dlsym(library, name);
    LAMINA_CHECK(found != nullptr, "{}; install another version of the CUDA toolkit.", dlerror());
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
  };
  find(create, "cublasLtCreate");
  find(destroy, "cublasLtDestroy");
  find(status_string, "cublasLtGetStatusString");
  find(matmul, "cublasLtMatmul");
  find(choose_algorithms, "cublasLtMatmulAlgoGetHeuristic");
  find(create_matmul, "cublasLtMatmulDescCreate");
  find(destroy_matmul, "cublasLtMatmulDescDestroy");
  find(set_matmul, "cublasLtMatmulDescSetAttribute");
  find(create_layout, "cublasLtMatrixLayoutCreate");
  find(destroy_layout, "cublasLtMatrixLayoutDestroy");
  find(create_preference, "cublasLtMatmulPreferenceCreate");
  find(destroy_preference, "cublasLtMatmulPreferenceDestroy");
  find(set_preference, "cublasLtMatmulPreferenceSetAttribute");
}

const CublasLt& cublaslt_library() {
  static const CublasLt library;
  return library;
}

}  // namespace lamina::cuda
