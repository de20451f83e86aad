// What the op headers compute from shapes alone, shared by every backend.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/activation.h"
#include "kernels/conv2d.h"
#include "kernels/pool.h"

namespace lamina {

std::string_view name_of(Act act) {
  switch (act) {
    case Act::none:
      return "none";
    case Act::relu:
      return "relu";
    case Act::relu6:
      return "relu6";
    case Act::tanh:
      return "tanh";
    case Act::sigmoid:
      return "sigmoid";
  }
  return "?";
}

namespace {

std::int64_t window_count(std::int64_t size,
                          std::int64_t window,
                          std::int64_t stride,
                          std::int64_t pad) {
  return (size + 2 * pad - window) / stride + 1;
}

}  // namespace

Shape Conv2dDesc::y() const {
  LAMINA_CHECK(k > 0 && r > 0 && s > 0 && stride_h > 0 && stride_w > 0 && dilation_h > 0 &&
                   dilation_w > 0 && pad_h >= 0 && pad_w >= 0 && groups > 0,
               "convolution: filters, window, stride, dilation and groups must be positive and "
               "padding not negative.");
  LAMINA_CHECK(x.c % groups == 0 && k % groups == 0,
               "convolution: {} input channels and {} filters do not divide into {} groups.",
               x.c,
               k,
               groups);
  const std::int64_t window_h = dilation_h * (r - 1) + 1, window_w = dilation_w * (s - 1) + 1;
  LAMINA_CHECK(
      x.h + 2 * pad_h >= window_h && x.w + 2 * pad_w >= window_w,
      "convolution: a {}x{} window (dilation included) does not fit into {} with padding {}x{}.",
      window_h,
      window_w,
      x.to_string(),
      pad_h,
      pad_w);
  return {x.n,
          window_count(x.h, window_h, stride_h, pad_h),
          window_count(x.w, window_w, stride_w, pad_w),
          k};
}

Shape pool_output(const PoolOpts& opts, const Shape& x) {
  LAMINA_CHECK(
      opts.r > 0 && opts.s > 0 && opts.stride_h > 0 && opts.stride_w > 0 && opts.r * opts.s <= 256,
      "pooling: window and stride must be positive and the window at most 256 elements.");
  LAMINA_CHECK(
      opts.pad_h >= 0 && opts.pad_w >= 0 && 2 * opts.pad_h <= opts.r && 2 * opts.pad_w <= opts.s,
      "pooling: padding {}x{} is more than half the {}x{} window.",
      opts.pad_h,
      opts.pad_w,
      opts.r,
      opts.s);
  LAMINA_CHECK(x.h + 2 * opts.pad_h >= opts.r && x.w + 2 * opts.pad_w >= opts.s,
               "pooling: a {}x{} window does not fit into {}.",
               opts.r,
               opts.s,
               x.to_string());
  const auto count =
      [&](std::int64_t size, std::int64_t window, std::int64_t stride, std::int64_t pad) {
        std::int64_t n =
            window_count(size + (opts.ceil_mode ? stride - 1 : 0), window, stride, pad);
        if (opts.ceil_mode && (n - 1) * stride >= size + pad)
          --n;  // would start in the right padding
        return n;
      };
  return {x.n,
          count(x.h, opts.r, opts.stride_h, opts.pad_h),
          count(x.w, opts.s, opts.stride_w, opts.pad_w),
          x.c};
}

}  // namespace lamina
