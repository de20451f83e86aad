// Convolution and linear layers.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/checks.h"

#include "kernels/check_args.h"

namespace lamina::checks {

namespace {

// `has_bias` is what the plan was made for; a bias given to a plan without one would be ignored.
void bias(std::string_view op, bool has_bias, const Arg& b, DType dtype, std::int64_t k) {
  if (has_bias) {
    vector(op, b, dtype, k);
  } else {
    LAMINA_CHECK(!b.t, "{}: {} was given to a plan made without bias.", op, b.name);
  }
}

void planned(std::string_view op, bool pass) {
  LAMINA_CHECK(pass, "{}: the plan was made without this pass; ask for it in the description.", op);
}

// backward_weights() is what takes dy back through the activation.
template <class Desc>
void back_through(std::string_view op, const Desc& desc) {
  LAMINA_CHECK(desc.act == Act::none || desc.backward_weights || !desc.backward_data,
               "{}: a plan with an activation has backward_data only behind backward_weights; ask "
               "for both, or put the activation into a layer of its own.",
               op);
}

}  // namespace

void conv2d(const Context& ctx, const Conv2dDesc& desc) {
  LAMINA_CHECK(takes(ctx.backend(), desc.dtype),
               "conv2d: dtype {} is not one the {} backend computes in; use f32.",
               name_of(desc.dtype),
               name_of(ctx.backend()));
  LAMINA_CHECK(desc.x.n > 0 && desc.x.h > 0 && desc.x.w > 0 && desc.x.c > 0,
               "conv2d: the input is {}; every dimension must be at least 1.",
               desc.x.to_string());
  desc.y();
  back_through("conv2d", desc);
}

void conv2d_forward(
    const Conv2dDesc& desc, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y) {
  constexpr auto op = "conv2d forward";
  dims(op, {"x", x}, desc.dtype, desc.x);
  vector(op, {"w", w}, desc.dtype, desc.weights());
  bias(op, desc.bias, {"b", b}, desc.dtype, desc.k);
  dims(op, {"y", y}, desc.dtype, desc.y());
  apart(op, {"x", x}, {"y", y});
}

void conv2d_backward_data(const Conv2dDesc& desc,
                          const Tensor& dy,
                          const Tensor& w,
                          const Tensor& dx) {
  constexpr auto op = "conv2d backward_data";
  planned(op, desc.backward_data);
  dims(op, {"dy", dy}, desc.dtype, desc.y());
  vector(op, {"w", w}, desc.dtype, desc.weights());
  dims(op, {"dx", dx}, desc.dtype, desc.x);
  apart(op, {"dy", dy}, {"dx", dx});
}

void conv2d_backward_weights(const Conv2dDesc& desc,
                             const Tensor& x,
                             const Tensor& y,
                             const Tensor& dy,
                             const Tensor& dw,
                             const Tensor& db) {
  constexpr auto op = "conv2d backward_weights";
  planned(op, desc.backward_weights);
  dims(op, {"x", x}, desc.dtype, desc.x);
  dims(op, {"dy", dy}, desc.dtype, desc.y());
  if (desc.act != Act::none) {
    dims(op, {"y", y}, desc.dtype, desc.y());
    apart(op, {"y", y}, {"dy", dy});
  }
  vector(op, {"dw", dw}, desc.dtype, desc.weights());
  if (db || !desc.bias) bias(op, desc.bias, {"db", db}, desc.dtype, desc.k);
}

void linear(const Context& ctx, const LinearDesc& desc) {
  LAMINA_CHECK(takes(ctx.backend(), desc.dtype),
               "linear: dtype {} is not one the {} backend computes in; use f32.",
               name_of(desc.dtype),
               name_of(ctx.backend()));
  LAMINA_CHECK(desc.n > 0 && desc.in > 0 && desc.k > 0,
               "linear: {} samples, {} inputs and {} outputs must all be at least 1.",
               desc.n,
               desc.in,
               desc.k);
  back_through("linear", desc);
}

void linear_forward(
    const LinearDesc& desc, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y) {
  constexpr auto op = "linear forward";
  matrix(op, {"x", x}, desc.dtype, desc.n, desc.in);
  vector(op, {"w", w}, desc.dtype, desc.k * desc.in);
  bias(op, desc.bias, {"b", b}, desc.dtype, desc.k);
  matrix(op, {"y", y}, desc.dtype, desc.n, desc.k);
  apart(op, {"x", x}, {"y", y});
}

void linear_backward_data(const LinearDesc& desc,
                          const Tensor& dy,
                          const Tensor& w,
                          const Tensor& dx) {
  constexpr auto op = "linear backward_data";
  planned(op, desc.backward_data);
  matrix(op, {"dy", dy}, desc.dtype, desc.n, desc.k);
  vector(op, {"w", w}, desc.dtype, desc.k * desc.in);
  matrix(op, {"dx", dx}, desc.dtype, desc.n, desc.in);
  apart(op, {"dy", dy}, {"dx", dx});
}

void linear_backward_weights(const LinearDesc& desc,
                             const Tensor& x,
                             const Tensor& y,
                             const Tensor& dy,
                             const Tensor& dw,
                             const Tensor& db) {
  constexpr auto op = "linear backward_weights";
  planned(op, desc.backward_weights);
  matrix(op, {"x", x}, desc.dtype, desc.n, desc.in);
  matrix(op, {"dy", dy}, desc.dtype, desc.n, desc.k);
  if (desc.act != Act::none) {
    matrix(op, {"y", y}, desc.dtype, desc.n, desc.k);
    apart(op, {"y", y}, {"dy", dy});
  }
  vector(op, {"dw", dw}, desc.dtype, desc.k * desc.in);
  if (db || !desc.bias) bias(op, desc.bias, {"db", db}, desc.dtype, desc.k);
}

}  // namespace lamina::checks
