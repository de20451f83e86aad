// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear.h"

#include "kernels/checks.h"
#include "kernels/cpu/dnnl.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {

bool linear_is_own(const LinearDesc& desc) {
  // oneDNN blocks for the caches, which pays off once the weights fill the second level.
  constexpr std::int64_t kSmall = 1 << 18;
  return kFastVectors && desc.in * desc.k <= kSmall;
}

std::unique_ptr<Linear> make_linear_by(Context& ctx, const LinearDesc& desc, LinearImpl impl) {
  checks::linear(ctx, desc);
  if (desc.dtype == DType::bf16) {
    if (impl == LinearImpl::automatic)
      impl = multiplies_bf16() ? LinearImpl::dnnl : LinearImpl::widened;
    return impl == LinearImpl::dnnl ? make_bf16_linear(ctx, desc) : make_widened_linear(ctx, desc);
  }
  if (impl == LinearImpl::automatic)
    impl = linear_is_own(desc) ? LinearImpl::direct : LinearImpl::dnnl;
  return impl == LinearImpl::direct ? make_direct_linear(ctx, desc) : make_dnnl_linear(ctx, desc);
}

std::unique_ptr<Linear> make_linear(Context& ctx, const LinearDesc& desc) {
  return make_linear_by(ctx, desc, LinearImpl::automatic);
}

}  // namespace lamina::cpu
