// How an op reaches its backend.
//
// An op header names a signature `using name_fn = void(Context& ctx, ...)` and says
// LAMINA_OP(name). That declares `ref::name`, `cpu::name` and `cuda::name`, each defined in
// kernels/<backend>/ in the file named like the header (.cu where there is device code), and makes
// `name` itself callable: it picks by `ctx.backend()`.
//
// Rules of every contract, unless it says otherwise: tensors are dense NHWC; outputs are
// overwritten; an input may not alias an output; results do not depend on earlier calls and repeat
// bit for bit, on the CPU with any number of threads; shapes and dtypes are checked, with an error
// that names them. `ref` takes f32 and f64 and accumulates in f64; `cpu` takes f32. A Tensor
// without data is "empty": an output nobody wants. Vocabulary: x w b y and dx dw db dy; N H W C in,
// K filters, R S window, P Q output.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "engine/core/context.h"
#include "engine/core/tensor.h"

namespace lamina {

template <class Signature>
struct Op;

template <class Result, class... Args>
struct Op<Result(Context&, Args...)> {
  using Function = Result(Context&, Args...);
  Function* ref;
  Function* cpu;
  Function* cuda;

  Result operator()(Context& ctx, Args... args) const {
    Function* chosen = ctx.backend() == BackendKind::ref   ? ref
                       : ctx.backend() == BackendKind::cpu ? cpu
                                                           : cuda;
    return chosen(ctx, static_cast<Args&&>(args)...);
  }
};

}  // namespace lamina

#define LAMINA_OP(name) \
  namespace ref {       \
  name##_fn name;       \
  }                     \
  namespace cpu {       \
  name##_fn name;       \
  }                     \
  namespace cuda {      \
  name##_fn name;       \
  }                     \
  inline constexpr Op<name##_fn> name{ref::name, cpu::name, cuda::name};
