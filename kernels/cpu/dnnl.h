// oneDNN 2.6 and 3.x behind one spelling, and its errors as ours.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <omp.h>

#include <string_view>
#include <type_traits>

#include <dnnl_debug.h>
#include <dnnl.hpp>

#include "engine/core/dtype.h"

namespace lamina::cpu {

// While one of these lives, oneDNN plans for one thread and uses no more: what it computes then
// depends on no number of threads. Loops of ours (parallel_for) have theirs nonetheless.
class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

// Whether the bits of an implementation depend on the threads: where oneDNN has no loops of its own
// for a shape it unfolds the images and multiplies matrices, and that product splits the terms of a
// sum over the threads where there are few results. ("brgemm" does not.)
inline bool splits_sums(std::string_view implementation) {
  return implementation.find("gemm") != std::string_view::npos &&
         implementation.find("brgemm") == std::string_view::npos;
}

// Whether the machine multiplies bf16; where it does not, oneDNN has slow stand-ins or nothing.
inline bool multiplies_bf16() {
  constexpr auto kWanted = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & kWanted) == kWanted;
}

inline dnnl::memory::data_type dnnl_type(DType dtype) {
  return dtype == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

// Runs body(); what oneDNN throws comes out as a lamina::Error that names `what`.
template <class Body>
auto dnnl_checked(std::string_view what, Body&& body) {
  try {
    return body();
  } catch (const dnnl::error& error) {
    throw Error(ErrorKind::failure,
                fmt::format("{}: oneDNN could not do it ({}).", what, error.message),
                {"", __FILE__, __LINE__, "oneDNN", error.status, dnnl_status2str(error.status)});
  }
}

// Version 3 builds a primitive descriptor from the fields at once; version 2 wants an operation
// descriptor of the same fields in the same order first.
template <class Primitive, class... Fields>
typename Primitive::primitive_desc forward_pd(const dnnl::engine& engine,
                                              const dnnl::primitive_attr& attr,
                                              const Fields&... fields) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, fields..., attr);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(fields...), attr, engine);
#endif
}

// `hint` is the primitive descriptor of the forward pass.
template <class Primitive, class Hint, class... Fields>
typename Primitive::primitive_desc backward_pd(const dnnl::engine& engine,
                                               const dnnl::primitive_attr& attr,
                                               const Hint& hint,
                                               const Fields&... fields) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, fields..., hint, attr);
#else
  return
      typename Primitive::primitive_desc(typename Primitive::desc(fields...), attr, engine, hint);
#endif
}

inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm kind, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(kind, alpha, beta);
#else
  ops.append_eltwise(1.0f, kind, alpha, beta);
#endif
}

}  // namespace lamina::cpu
