// Overflow, sums and the norm of the gradients. Contract: kernels/gradient_slab.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gradient_slab.h"

#include "kernels/checks.h"
#include "kernels/cuda/language.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

template <class T>
LAMINA_KERNEL look_for_overflow(StepState* state,
                                const T* dw,
                                std::int64_t count,
                                std::int64_t first) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const float value = cuda::as_f32(dw[i]);
    if (value - value == 0.0f) continue;  // infinity and NaN make NaN
    cuda::min_atomic(&state->overflow_at, first + i);
    return;  // later ones of this thread are larger
  }
}

template <class T>
LAMINA_KERNEL add_up(bool fresh, const T* dw, float* sum, std::int64_t count) {
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads())
    sum[i] = (fresh ? 0.0f : sum[i]) + cuda::as_f32(dw[i]);
}

// A block leaves its sum in `parts`; the last one adds them up in their order.
template <class T>
LAMINA_KERNEL clip(const T* dw,
                   std::int64_t count,
                   ClipOpts opts,
                   StepState* state,
                   double* norm2,
                   double* parts,
                   std::uint32_t* ticket) {
  LAMINA_SHARED(double, scratch, [cuda::kWarp]);
  double sum = 0.0;
  for (std::int64_t i = cuda::first_thread(); i < count; i += cuda::all_threads()) {
    const double g = static_cast<double>(cuda::as_f32(dw[i]));
    sum += g * g;
  }
  sum = cuda::block_sum(sum, scratch);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
  if (!cuda::last_block(ticket, gridDim.x)) return;
  double total = 0.0;
  for (unsigned block = threadIdx.x; block < gridDim.x; block += cuda::kBlock)
    total += parts[block];
  total = cuda::block_sum(total, scratch);
  if (threadIdx.x != 0) return;
  const double scale = static_cast<double>(state->loss_scale);
  total = (opts.first ? 0.0 : *norm2) + total / (scale * scale);
  *norm2 = total;
  if (opts.last) state->clip = clip_of(total, opts.max_norm);
}

}  // namespace

void cuda::find_overflow(Context& ctx, StepState* state, const Tensor& dw, std::int64_t first) {
  checks::find_overflow(ctx, state, dw);
  visit_compute(dw.dtype, "find_overflow", [&]<class T>(T) {
    launch(ctx,
           "find_overflow",
           blocks_for(dw.numel()),
           kBlock,
           look_for_overflow<T>,
           state,
           dw.as<T>(),
           dw.numel(),
           first);
  });
}

void cuda::sum_gradients(Context& ctx, bool fresh, const Tensor& dw, const Tensor& sum) {
  checks::sum_gradients(ctx, dw, sum);
  visit_compute(dw.dtype, "sum_gradients", [&]<class T>(T) {
    launch(ctx,
           "sum_gradients",
           blocks_for(dw.numel()),
           kBlock,
           add_up<T>,
           fresh,
           dw.as<T>(),
           sum.as<float>(),
           dw.numel());
  });
}

void cuda::clip_gradients(
    Context& ctx, const ClipOpts& opts, StepState* state, const Tensor& dw, const Tensor& norm2) {
  checks::clip_gradients(ctx, opts, state, dw, norm2);
  visit_compute(dw.dtype, "clip_gradients", [&]<class T>(T) {
    launch(ctx,
           "clip_gradients",
           blocks_for(dw.numel()),
           kBlock,
           clip<T>,
           dw.as<T>(),
           dw.numel(),
           opts,
           state,
           norm2.as<double>(),
           static_cast<double*>(scratch_of(ctx)),
           tickets_of(ctx));
  });
}

}  // namespace lamina
