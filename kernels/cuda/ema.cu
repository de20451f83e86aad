// The moving average of the parameters. Contract: kernels/ema.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/ema.h"

#include "kernels/checks.h"
#include "kernels/cuda/slab.h"

namespace lamina {
namespace {

// The slab is that of the average; its gradients are the weights that it follows.
template <class G, class C>
LAMINA_KERNEL follow(cuda::Slab<G, C> slab, float share) {
  for (std::int64_t i = cuda::first_thread(); i < slab.count; i += cuda::all_threads()) {
    const float before = slab.w[i];
    slab.store(i, before + share * (cuda::as_f32(slab.dw[i]) - before));
  }
}

}  // namespace

void cuda::ema_step(
    Context& ctx, double decay, const Tensor& w, const Tensor& ema, const Tensor& copy) {
  checks::ema_step(ctx, decay, w, ema, copy);
  visit_slab(ema, w, copy, "ema_step", [&]<class G, class C>(const Slab<G, C>& slab) {
    launch(ctx,
           "ema_step",
           blocks_for(w.numel()),
           kBlock,
           follow<G, C>,
           slab,
           static_cast<float>(1.0 - decay));
  });
}

}  // namespace lamina
