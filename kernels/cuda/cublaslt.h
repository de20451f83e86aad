// cuBLASLt: its functions, owners of its descriptors, and the library handle of a context.
//
// The library is loaded when it is first asked for. Linked, it would cost every start of the
// program a fifth of a second and 200 MB, without a GPU as well.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublasLt.h>

#include "engine/core/context.h"
#include "engine/core/handle.h"
#include "kernels/cuda/check.h"

namespace lamina::cuda {

// The library's functions. A new one: its line here and in cublaslt.cpp.
struct CublasLt {
  CublasLt();  // loads the library; an error says what is missing

  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtGetStatusString) status_string;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) choose_algorithms;
  decltype(&cublasLtMatmulDescCreate) create_matmul;
  decltype(&cublasLtMatmulDescDestroy) destroy_matmul;
  decltype(&cublasLtMatmulDescSetAttribute) set_matmul;
  decltype(&cublasLtMatrixLayoutCreate) create_layout;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
};
// One for the process, as a shared library is. cuDNN's plans want it loaded too.
const CublasLt& cublaslt_library();

template <auto member, class T>
void destroy_by(T raw) {
  static_cast<void>((cublaslt_library().*member)(raw));
}
template <class T, auto member>
using LtOwner = Handle<T, &destroy_by<member, T>>;
using LtHandle = LtOwner<cublasLtHandle_t, &CublasLt::destroy>;
using LtMatmul = LtOwner<cublasLtMatmulDesc_t, &CublasLt::destroy_matmul>;
using LtLayout = LtOwner<cublasLtMatrixLayout_t, &CublasLt::destroy_layout>;
using LtPreference = LtOwner<cublasLtMatmulPreference_t, &CublasLt::destroy_preference>;

// Null where there is no device to ask: descriptors can be made then, products cannot be planned.
cublasLtHandle_t cublaslt_of(Context& ctx);

}  // namespace lamina::cuda
