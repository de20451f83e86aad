// The activation behind a oneDNN convolution or linear layer. The rectifiers are exact, so oneDNN
// applies them on the way; tanh and sigmoid are a pass of our own, whose error we know.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cpu/dnnl.h"
#include "kernels/cpu/pointwise.h"
#include "kernels/cpu/vec_math.h"

namespace lamina::cpu {

inline void fuse(Act act, dnnl::primitive_attr& attr) {
  dnnl::post_ops ops;
  if (act == Act::relu) append_eltwise(ops, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  if (act == Act::relu6) append_eltwise(ops, dnnl::algorithm::eltwise_clip, 0.0f, 6.0f);
  if (ops.len() > 0) attr.set_post_ops(ops);
}

// What fuse() left to do.
inline void apply_unfused(const Context& ctx, Act act, const Tensor& y) {
  if (act != Act::tanh && act != Act::sigmoid) return;
  visit_storage(y.dtype, [&]<class T>(T) {
    visit_act(act, [&](auto a) {
      pointwise(
          ctx, y.numel(), [a](const Vec& v) { return a.forward(v); }, y.as<T>(), y.as<T>());
    });
  });
}

}  // namespace lamina::cpu
