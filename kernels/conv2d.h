// Two-dimensional convolution (cross-correlation), with bias and an activation fused behind it.
//   y[n,p,q,k] = act( b[k] + sum over r, s, c of
//                     x[n, p*stride_h + r*dilation_h - pad_h, q*stride_w + ..., g*C/G + c] *
//                     w[k,r,s,c] ),  g the group of filter k
//   x  [N,H,W,C]    y  [N,P,Q,K]    P = (H + 2*pad_h - dilation_h*(R-1) - 1) / stride_h + 1
//   w  [K,R,S,C/G] (PyTorch's OIHW at the border)    b  [K] or empty
// A plan is built once from shapes and owned by the layer; it keeps library handles, no tensors. On
// cuda every tensor starts at a multiple of 16 bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/activation.h"
#include "kernels/op.h"

namespace lamina {

struct Conv2dDesc {
  Shape x;
  std::int64_t k = 0, r = 1, s = 1;
  std::int64_t stride_h = 1, stride_w = 1;
  std::int64_t pad_h = 0, pad_w = 0;
  std::int64_t dilation_h = 1, dilation_w = 1;
  std::int64_t groups = 1;
  bool bias = true;
  Act act = Act::none;
  DType dtype = DType::f32;
  bool backward_data = true;     // false: the input needs no gradient (the first layer)
  bool backward_weights = true;  // both false: inference; with an activation not this one alone

  Shape y() const;  // throws when the window does not fit or C, K do not divide by groups
  std::int64_t weights() const { return k * r * s * (x.c / groups); }
};

class Conv2d {
 public:
  virtual ~Conv2d() = default;

  // Scratch memory that every call below needs, 64-byte aligned; its contents do not outlive a
  // call.
  virtual std::size_t workspace_bytes() const = 0;

  // y = act(x * w + b)
  virtual void forward(
      const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y, void* workspace) = 0;
  // Comes first of the two backward passes. dy is the gradient behind the activation and is
  // overwritten with dy * act'(y), that in front of it; without an activation dy stays as it is and
  // y, which may be empty, is not read. dw, db are the gradients of w and b; db may be empty.
  virtual void backward_weights(const Tensor& x,
                                const Tensor& y,
                                const Tensor& dy,
                                const Tensor& dw,
                                const Tensor& db,
                                void* workspace) = 0;
  // Takes the gradient in front of the activation, as backward_weights() leaves it.
  virtual void backward_data(const Tensor& dy,
                             const Tensor& w,
                             const Tensor& dx,
                             void* workspace) = 0;

  virtual std::string describe() const = 0;  // the implementation chosen, for the plan table
  // Operands that the passes planned copy into another layout; for the plan table too.
  virtual int reorders() const { return 0; }
};

using make_conv2d_fn = std::unique_ptr<Conv2d>(Context& ctx, const Conv2dDesc& desc);
LAMINA_OP(make_conv2d)

}  // namespace lamina
