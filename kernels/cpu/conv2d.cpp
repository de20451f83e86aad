// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv2d.h"

#include "kernels/checks.h"
#include "kernels/cpu/conv2d_impl.h"

namespace lamina::cpu {

std::unique_ptr<Conv2d> make_conv2d_by(Context& ctx, const Conv2dDesc& desc, Conv2dImpl impl) {
  checks::conv2d(ctx, desc);
  if (impl == Conv2dImpl::automatic)
    impl = direct_conv2d_can_run(desc) && desc.x.c < 16 ? Conv2dImpl::direct : Conv2dImpl::dnnl;
  if (impl == Conv2dImpl::dnnl) return make_dnnl_conv2d(ctx, desc);
  LAMINA_CHECK(direct_conv2d_can_run(desc),
               "convolution of {}: the direct kernels take one group, no dilation and, for the "
               "gradient of the data, unit stride; use oneDNN.",
               desc.x.to_string());
  return make_direct_conv2d(ctx, desc);
}

std::unique_ptr<Conv2d> make_conv2d(Context& ctx, const Conv2dDesc& desc) {
  return make_conv2d_by(ctx, desc, Conv2dImpl::automatic);
}

}  // namespace lamina::cpu
