// Which implementation should run each pass of a convolution, from its shape alone: a model of what
// each of them costs, which asks for no timing, so that a net always computes the same bits.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/conv2d_impl.h"
#include "kernels/cpu/dnnl.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {
namespace {

// Nothing else is worth taking if it is not so much faster.
constexpr double kMargin = 1.15;

// The share of a last vector's lanes that are used.
double fill(std::int64_t count) {
  return static_cast<double>(count) / static_cast<double>(round_up(count));
}

// What is known of a machine, in GFLOP/s and nanoseconds of one thread.
struct ImagesCosts {
  double forward, weights;  // of our kernels
  double transpose;         // of a float of both images
};
struct WinogradCosts {
  double direct, direct_weights, product;  // a multiply-add of each
  double channel;                          // of a tile, turned
  double filter, filter_back, filter_gradient;
};
struct TapsCosts {
  double product;              // a multiply-add
  double line, sum;            // what a line costs in outputs, and an output's sum in channels
  double copy, gradient;       // a float of x and dy copied, one of dw
  double filter, filter_back;  // one of w copied
};
// With AVX-512 fitted to 27 and 17 shapes on a Xeon, with AVX2 to 27, 27 and 60 on an EPYC (Zen 3).
// (By tap with AVX-512: the product is Winograd's, which is the same; the rest is not fitted.)
constexpr bool kWide = kLanes == 16;
constexpr ImagesCosts kImages = kWide ? ImagesCosts{165, 150, 0.15} : ImagesCosts{80, 45, 0.3};
constexpr WinogradCosts kWinograd =
    kWide ? WinogradCosts{2.0 / 165, 2.0 / 165, 2.0 / 150, 9, 90, 70, 60}
          : WinogradCosts{2.0 / 75, 2.0 / 52, 2.0 / 75, 20, 60, 60, 45};
constexpr TapsCosts kTaps = kWide ? TapsCosts{2.0 / 150, 3, 8, 0.8, 0.2, 0.6, 0.4}
                                  : TapsCosts{2.0 / 78, 3, 8, 0.8, 0.2, 0.6, 0.4};

// GFLOP/s of oneDNN's direct convolution.
struct DnnlRates {
  double forward, data, weights;
};
DnnlRates dnnl_rates(const Conv2dDesc& d) {
  const std::int64_t c = d.x.c, k = d.k;
  if (kWide) {
    // It fills its lanes with filters, or with input channels in the data gradient, and likes a
    // first layer's few channels little.
    const double channels = c == 1 ? 55 : c < 4 ? 120 : c < 16 ? 140 : 165;
    return {channels * fill(k), 165 * fill(c), channels * fill(k)};
  }
  // A window of one tap is a plain product, which it does best. Else it keeps few sums side by side
  // for few filters, and a stride costs it a quarter. It has no vectors for less than one of
  // inputs.
  const bool product = d.r * d.s == 1, strided = d.stride_w > 1;
  const double filters = product ? 85 : k <= 8 ? 36 : k <= 16 ? 58 : strided ? 52 : 70;
  const double inputs = c < 8     ? 5.5 * static_cast<double>(c)
                        : product ? 80
                        : c <= 16 ? 45
                        : c < 64  ? 60
                        : strided ? 60
                                  : 72;
  return {filters * fill(k), inputs, k < 8 ? 30 * fill(k) : 57};
}

// Multiply-adds, those with padding too.
double direct_products(const Conv2dDesc& d) {
  return static_cast<double>(d.y().numel()) * static_cast<double>(d.r * d.s * d.x.c / d.groups);
}

// Of our kernels for few channels, at so many GFLOP/s.
double images_ns(const Conv2dDesc& d, double gflops) {
  // Missing images of the last tile cost as much as real ones.
  const auto floats = static_cast<double>(d.x.numel() + d.y().numel());
  return (2 * direct_products(d) / gflops + floats * kImages.transpose) / fill(d.x.n);
}

// Of Winograd's filtering towards a tensor of this shape.
double winograd_ns(const Conv2dDesc& d, const Shape& to, double filter) {
  const auto tiles = static_cast<double>(to.n * ((to.h + 3) / 4) * ((to.w + 3) / 4));
  const auto filters = static_cast<double>(d.k * d.x.c),
             channels = static_cast<double>(d.k + d.x.c);
  return tiles * (kWinograd.product * 36 * filters + kWinograd.channel * channels) +
         filter * filters;
}

// How many pairs of an output and a tap lie inside, along one axis.
std::int64_t inside(std::int64_t outputs,
                    std::int64_t inputs,
                    std::int64_t taps,
                    std::int64_t stride,
                    std::int64_t dilation,
                    std::int64_t pad) {
  std::int64_t count = 0;
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    for (std::int64_t p = 0; p < outputs; ++p) {
      const std::int64_t at = p * stride + tap * dilation - pad;
      count += at >= 0 && at < inputs;
    }
  }
  return count;
}

// Multiply-adds without those with padding.
double inside_products(const Conv2dDesc& d) {
  const Shape y = d.y();
  const std::int64_t pairs = inside(y.h, d.x.h, d.r, d.stride_h, d.dilation_h, d.pad_h) *
                             inside(y.w, d.x.w, d.s, d.stride_w, d.dilation_w, d.pad_w);
  return static_cast<double>(pairs * d.x.n) * static_cast<double>(d.k * d.x.c);
}

// The passes by tap.
struct TapsTimes {
  double forward, data, weights;
};
TapsTimes taps_ns(const Conv2dDesc& d) {
  const Shape y = d.y();
  const double products = inside_products(d) * kTaps.product,
               filters = static_cast<double>(d.weights());
  const double line = products * (1 + kTaps.line / static_cast<double>(std::max(d.x.n, y.w)));
  const auto sums = [](std::int64_t in) { return 1 + kTaps.sum / static_cast<double>(in); };
  return {.forward = line * sums(d.x.c) / fill(d.k) + filters * kTaps.filter,
          .data = line * sums(d.k) / fill(d.x.c) + filters * kTaps.filter_back,
          .weights = products / fill(d.x.c) +
                     static_cast<double>(d.x.numel() + y.numel()) * kTaps.copy +
                     filters * kTaps.gradient};
}

// Which passes our kernels for few channels do faster than oneDNN.
OwnPasses faster_by_images(const Conv2dDesc& d) {
  if (!images_conv2d_can_run(d)) return {};
  const double flops = 2 * direct_products(d);
  const DnnlRates dnnl = dnnl_rates(d);
  const std::int64_t x = d.x.per_sample(), y = d.y().per_sample();
  // An image side by side with the others of its tile has to stay in the last cache; in the weight
  // gradient, which reads a tile for each block of sums, in the second level.
  constexpr std::int64_t kImageFloats = (1 << 20) / kLanes, kTileFloats = (1 << 18) / kLanes;
  const double forward = images_ns(d, kImages.forward), weights = images_ns(d, kImages.weights);
  return {.forward = forward < flops / dnnl.forward && x <= kImageFloats,
          .data = forward < flops / dnnl.data && y <= kImageFloats,
          .weights = weights < flops / dnnl.weights && x + y <= kTileFloats};
}

// Which passes Winograd's filtering does faster than oneDNN's direct convolution.
OwnPasses faster_by_winograd(const Conv2dDesc& d) {
  if (!winograd_conv2d_can_run(d)) return {};
  const double products = direct_products(d);
  const auto faster = [&](const Shape& to, double filter, double direct) {
    return winograd_ns(d, to, filter) * kMargin < direct * products;
  };
  return {.forward = faster(d.y(), kWinograd.filter, kWinograd.direct),
          .data = faster(d.x, kWinograd.filter_back, kWinograd.direct),
          .weights = faster(d.y(), kWinograd.filter_gradient, kWinograd.direct_weights)};
}

// The passes of the choice that are faster by tap.
OwnPasses faster_by_taps(const Conv2dDesc& d, const Conv2dPasses& chosen) {
  // A window of one tap is a single product to oneDNN as well.
  if (!taps_conv2d_can_run(d) || d.r * d.s == 1) return {};
  const double flops = 2 * direct_products(d);
  const DnnlRates dnnl = dnnl_rates(d);
  const auto other = [&](Conv2dImpl impl, double rate, double images, double winograd) {
    return impl == Conv2dImpl::images     ? images_ns(d, images)
           : impl == Conv2dImpl::winograd ? winograd
                                          : flops / rate;
  };
  const TapsTimes taps = taps_ns(d);
  return {
      .forward = taps.forward * kMargin < other(chosen.forward,
                                                dnnl.forward,
                                                kImages.forward,
                                                winograd_ns(d, d.y(), kWinograd.filter)),
      .data = taps.data * kMargin < other(chosen.data,
                                          dnnl.data,
                                          kImages.forward,
                                          winograd_ns(d, d.x, kWinograd.filter_back)),
      .weights = taps.weights * kMargin < other(chosen.weights,
                                                dnnl.weights,
                                                kImages.weights,
                                                winograd_ns(d, d.y(), kWinograd.filter_gradient))};
}

// Whether the kernel for narrow groups is faster than oneDNN. With AVX2, which has no vectors of
// four channels there; eight it convolves as fast while both images stay in the last cache (fitted
// to 8 shapes on an EPYC). With AVX-512 not measured.
bool faster_by_groups(const Conv2dDesc& d) {
  constexpr std::int64_t kCacheFloats = 2'000'000;
  if (kWide || !groups_conv2d_can_run(d)) return false;
  return d.x.c / d.groups < kLanes || d.x.numel() + d.y().numel() > kCacheFloats;
}

}  // namespace

namespace {

// oneDNN has bf16 kernels where the machine multiplies it, but none for what our kernels for few
// channels are there for, nor vectors for narrow groups.
Conv2dPasses usual_bf16_passes(const Conv2dDesc& desc, bool winograd) {
  const std::int64_t c = desc.x.c / desc.groups;
  const bool narrow = desc.groups > 1 && c > 1 && c < 16;
  if (!multiplies_bf16() || narrow)
    return {Conv2dImpl::widened, Conv2dImpl::widened, Conv2dImpl::widened};
  const OwnPasses own = faster_by_images(desc);
  // It multiplies whole rows of pixels for the gradient of the filters: small maps fill few.
  constexpr std::int64_t kSmallMap = 7;
  const bool small =
      desc.y().w <= kSmallMap &&
      ((winograd && faster_by_winograd(desc).weights) ||
       faster_by_taps(
           desc,
           {.forward = Conv2dImpl::dnnl, .data = Conv2dImpl::dnnl, .weights = Conv2dImpl::dnnl})
           .weights);
  const auto impl = [](bool in_f32) { return in_f32 ? Conv2dImpl::widened : Conv2dImpl::dnnl; };
  return {impl(own.forward), impl(own.data), impl(own.weights || small)};
}

}  // namespace

Conv2dPasses usual_conv2d_passes(const Conv2dDesc& desc, bool winograd) {
  if (desc.dtype == DType::bf16) {
    Conv2dPasses passes = usual_bf16_passes(desc, winograd);
    if (!desc.backward_data) passes.data = passes.forward;
    if (!desc.backward_weights) passes.weights = passes.forward;
    return passes;
  }
  if (!kFastVectors) return {Conv2dImpl::dnnl, Conv2dImpl::dnnl, Conv2dImpl::dnnl};
  if (faster_by_groups(desc)) return {Conv2dImpl::groups, Conv2dImpl::groups, Conv2dImpl::groups};
  const OwnPasses own = faster_by_images(desc);
  const OwnPasses fast = winograd ? faster_by_winograd(desc) : OwnPasses{};
  const auto impl = [](bool images, bool tiles) {
    return tiles ? Conv2dImpl::winograd : images ? Conv2dImpl::images : Conv2dImpl::dnnl;
  };
  Conv2dPasses passes{.forward = impl(own.forward, fast.forward),
                      .data = impl(own.data, fast.data),
                      .weights = impl(own.weights, fast.weights)};
  const OwnPasses taps = faster_by_taps(desc, passes);
  if (taps.forward) passes.forward = Conv2dImpl::taps;
  if (taps.data) passes.data = Conv2dImpl::taps;
  if (taps.weights) passes.weights = Conv2dImpl::taps;
  if (!desc.backward_data) passes.data = passes.forward;
  if (!desc.backward_weights) passes.weights = passes.forward;
  return passes;
}

OwnPasses own_passes(const Conv2dDesc& d) {
  if (linear_conv2d_can_run(d)) {
    const bool own = linear_is_own({.n = d.x.n, .in = d.x.per_sample(), .k = d.k});
    return {own, own, own};
  }
  const Conv2dPasses passes = usual_conv2d_passes(d, false);
  const auto own = [](Conv2dImpl impl) { return impl != Conv2dImpl::dnnl; };
  return {own(passes.forward), own(passes.data), own(passes.weights)};
}

}  // namespace lamina::cpu
