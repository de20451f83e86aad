// The implementations behind cpu::make_conv2d, for it and for tests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/conv2d.h"

namespace lamina {
class PlanCache;
}

namespace lamina::cpu {

// automatic: each pass by the one that should be fastest, from the shapes alone.
// widened: bf16 tensors by kernels for f32.
enum class Conv2dImpl { automatic, images, linear, winograd, taps, groups, dnnl, widened };
inline constexpr std::size_t kConv2dImpls = 8;

struct Conv2dPasses {
  Conv2dImpl forward, data, weights;
};
// What should be the fastest for each pass, by a model (conv2d_choice.cpp); winograd: which rounds
// more, may be among it. Not for windows that are linear layers. Of bf16 tensors: oneDNN, or the
// others in f32.
Conv2dPasses usual_conv2d_passes(const Conv2dDesc& desc, bool winograd);

// Which passes are our own exact kernels' by that choice; oneDNN has the others.
struct OwnPasses {
  bool forward = false, data = false, weights = false;
};
OwnPasses own_passes(const Conv2dDesc& desc);

// An implementation, with a name for each pass and the operands that it reorders.
struct Conv2dPass {
  std::string name;
  int reorders = 0;
};
struct Conv2dNames {
  Conv2dPass forward, data, weights;
};
class NamedConv2d : public Conv2d {
 public:
  virtual Conv2dNames names() const = 0;
  std::string describe() const final;
  int reorders() const final;
};

// Our own kernels for few channels (conv2d_images.cpp).
bool images_conv2d_can_run(const Conv2dDesc& desc);
std::unique_ptr<NamedConv2d> make_images_conv2d(Context& ctx, const Conv2dDesc& desc);

// A window as large as the input: a linear layer (conv2d.cpp).
bool linear_conv2d_can_run(const Conv2dDesc& desc);
std::unique_ptr<NamedConv2d> make_linear_conv2d(Context& ctx, const Conv2dDesc& desc);

// 3x3 windows with a quarter of the multiplications and larger roundings (conv2d_winograd.cpp).
bool winograd_conv2d_can_run(const Conv2dDesc& desc);
std::unique_ptr<NamedConv2d> make_winograd_conv2d(Context& ctx, const Conv2dDesc& desc);

// A product for each tap: small maps and strides (conv2d_taps.cpp).
bool taps_conv2d_can_run(const Conv2dDesc& desc);
std::unique_ptr<NamedConv2d> make_taps_conv2d(Context& ctx, const Conv2dDesc& desc);

// Groups that are narrow and as wide in inputs as in filters (conv2d_groups.cpp).
bool groups_conv2d_can_run(const Conv2dDesc& desc);
std::unique_ptr<NamedConv2d> make_groups_conv2d(Context& ctx, const Conv2dDesc& desc);

// oneDNN, any shape (conv2d_dnnl.cpp).
std::unique_ptr<NamedConv2d> make_dnnl_conv2d(Context& ctx, const Conv2dDesc& desc);

// bf16 tensors by the implementations above for f32 (conv2d_widened.cpp).
std::unique_ptr<NamedConv2d> make_widened_conv2d(Context& ctx, const Conv2dDesc& desc);

// What usual_conv2d_passes() names, without a timing.
std::unique_ptr<NamedConv2d> make_usual_conv2d(Context& ctx, const Conv2dDesc& desc);

// One of those.
std::unique_ptr<NamedConv2d> make_named_conv2d(Context& ctx,
                                               const Conv2dDesc& desc,
                                               Conv2dImpl impl);

// The fastest of all that can run each pass, by their times here or by what the
// cache has of an earlier timing (conv2d_tuning.cpp). usual: what counts without a clear winner.
Conv2dPasses tuned_conv2d_passes(Context& ctx,
                                 const Conv2dDesc& desc,
                                 const Conv2dPasses& usual,
                                 PlanCache& cache);
std::string conv2d_tuning_key(Context& ctx, const Conv2dDesc& desc);  // in the cache

// make_conv2d with the choice made by the caller.
std::unique_ptr<Conv2d> make_conv2d_by(Context& ctx, const Conv2dDesc& desc, Conv2dImpl impl);

}  // namespace lamina::cpu
