// Fully connected layer, with bias and an activation fused behind it.
//   y[n,k] = act( b[k] + sum_i x[n,i] * w[k,i] )
//   x  [N,in] (the NHWC memory of any shape with in = H*W*C)
//   w  [K,in]    b  [K] or empty    y  [N,K]
// On cuda every tensor starts at a multiple of 16 bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/activation.h"
#include "kernels/op.h"

namespace lamina {

struct LinearDesc {
  std::int64_t n = 1, in = 1, k = 1;
  bool bias = true;
  Act act = Act::none;
  DType dtype = DType::f32;
  bool backward_data = true;
  bool backward_weights = true;
};

class Linear {
 public:
  virtual ~Linear() = default;
  virtual std::size_t workspace_bytes() const = 0;
  virtual void forward(
      const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y, void* workspace) = 0;
  // As in conv2d.h: backward_weights() first, which takes dy back through the activation, in place.
  virtual void backward_weights(const Tensor& x,
                                const Tensor& y,
                                const Tensor& dy,
                                const Tensor& dw,
                                const Tensor& db,
                                void* workspace) = 0;
  virtual void backward_data(const Tensor& dy,
                             const Tensor& w,
                             const Tensor& dx,
                             void* workspace) = 0;
  virtual std::string describe() const = 0;
};

using make_linear_fn = std::unique_ptr<Linear>(Context& ctx, const LinearDesc& desc);
LAMINA_OP(make_linear)

}  // namespace lamina
