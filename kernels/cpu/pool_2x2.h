// Pooling with a 2x2 window, stride 2 and no padding, in NHWC.
//
// A pixel's channels are read and written as whole vectors of 8 or 16 lanes, also when there are
// fewer channels: what is written past a pixel is overwritten by the next one, and the last pixels
// of a range, where that would leave it, are done one channel at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/core/context.h"
#include "kernels/pool.h"

namespace lamina::cpu {

// Whether these functions compute the pooling: every window lies inside the input, and y (or dy) is
// dense.
inline bool is_pool_2x2(const PoolOpts& o, const Shape& x, const Tensor& y) {
  return o.r == 2 && o.s == 2 && o.stride_h == 2 && o.stride_w == 2 && o.pad_h == 0 &&
         o.pad_w == 0 && 2 * y.shape.h <= x.h && 2 * y.shape.w <= x.w && !y.is_slice();
}

// Elements are f32 or bf16. idx may be null.
template <class T>
void max_pool_2x2_forward(
    const Context& ctx, const Shape& in, const Shape& out, const T* x, T* y, std::uint8_t* idx);
template <class T>
void max_pool_2x2_backward(const Context& ctx,
                           const Shape& in,
                           const Shape& out,
                           const T* dy,
                           const std::uint8_t* idx,
                           T* dx);
template <class T>
void avg_pool_2x2_forward(const Context& ctx, const Shape& in, const Shape& out, const T* x, T* y);
template <class T>
void avg_pool_2x2_backward(
    const Context& ctx, const Shape& in, const Shape& out, const T* dy, T* dx);

}  // namespace lamina::cpu
