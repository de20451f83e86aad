// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear.h"

#include "kernels/checks.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {

std::unique_ptr<Linear> make_linear_by(Context& ctx, const LinearDesc& desc, LinearImpl impl) {
  checks::linear(ctx, desc);
  // oneDNN blocks for the caches, which pays off once the weights fill the second level.
  constexpr std::int64_t kSmall = 1 << 18;
  if (impl == LinearImpl::automatic)
    impl = kWideVectors && desc.in * desc.k <= kSmall ? LinearImpl::direct : LinearImpl::dnnl;
  return impl == LinearImpl::direct ? make_direct_linear(ctx, desc) : make_dnnl_linear(ctx, desc);
}

std::unique_ptr<Linear> make_linear(Context& ctx, const LinearDesc& desc) {
  return make_linear_by(ctx, desc, LinearImpl::automatic);
}

}  // namespace lamina::cpu
