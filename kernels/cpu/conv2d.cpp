// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv2d.h"

#include "kernels/checks.h"
#include "kernels/cpu/conv2d_impl.h"

namespace lamina::cpu {

std::unique_ptr<Conv2d> make_conv2d_by(Context& ctx, const Conv2dDesc& desc, Conv2dImpl impl) {
  checks::conv2d(ctx, desc);
  if (impl == Conv2dImpl::automatic)
    impl = images_conv2d_can_run(desc) && desc.x.c < 16 ? Conv2dImpl::images : Conv2dImpl::dnnl;
  if (impl == Conv2dImpl::dnnl) return make_dnnl_conv2d(ctx, desc);
  return make_images_conv2d(ctx, desc);
}

std::unique_ptr<Conv2d> make_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return make_conv2d_by(ctx, desc, Conv2dImpl::automatic);
}

}  // namespace lamina::cpu
