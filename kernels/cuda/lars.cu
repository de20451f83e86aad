// LARS: one launch for the norms of all tensors, one for the update. Contract: kernels/lars.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/lars.h"

#include "kernels/checks.h"
#include "kernels/cuda/slab.h"

namespace lamina {
namespace {

// Blocks a tensor, along x; the tensors lie along y.
constexpr unsigned kShares = 16;

// Elements of one tensor.
struct Span {
  std::int64_t first, end;
};

LAMINA_DEVICE Span span_of(const std::int64_t* spans, unsigned tensor) {
  const std::int64_t first = spans[2 * tensor];
  return {first, first + spans[2 * tensor + 1]};
}

// A block leaves its two sums in `parts`; the last one adds those of each tensor in their order.
template <class G, class C>
LAMINA_KERNEL measure(cuda::Slab<G, C> slab,
                      const std::int64_t* spans,
                      const StepState* state,
                      double* norms,
                      double* parts,
                      std::uint32_t* ticket) {
  LAMINA_SHARED(double, scratch, [cuda::kWarp]);
  const Span span = span_of(spans, blockIdx.y);
  double w2 = 0.0, g2 = 0.0;
  for (std::int64_t i = span.first + cuda::first_thread(); i < span.end; i += cuda::all_threads()) {
    const double w = static_cast<double>(slab.w[i]);
    const double g = static_cast<double>(cuda::as_f32(slab.dw[i]));
    w2 += w * w;
    g2 += g * g;
  }
  w2 = cuda::block_sum(w2, scratch);
  g2 = cuda::block_sum(g2, scratch);
  if (threadIdx.x == 0) {
    double* const part = parts + 2 * (blockIdx.y * kShares + blockIdx.x);
    part[0] = w2;
    part[1] = g2;
  }
  if (!cuda::last_block(ticket, gridDim.x * gridDim.y)) return;
  const double factor = static_cast<double>(state->gradient_factor());
  for (unsigned i = threadIdx.x; i < 2 * gridDim.y; i += cuda::kBlock) {
    double sum = 0.0;
    for (unsigned share = 0; share < kShares; ++share)
      sum += parts[2 * (i / 2 * kShares + share) + i % 2];
    norms[i] = i % 2 == 0 ? sum : sum * factor * factor;
  }
}

template <class G, class C>
LAMINA_KERNEL update(cuda::Slab<G, C> slab,
                     float* m,
                     LarsOpts opts,
                     const std::int64_t* spans,
                     const double* norms,
                     const StepState* state) {
  if (state->overflowed()) return;
  const Span span = span_of(spans, blockIdx.y);
  const float lr = state->lr, factor = state->gradient_factor();
  const auto rate =
      static_cast<float>(lars_rate(opts, norms[2 * blockIdx.y], norms[2 * blockIdx.y + 1]));
  const auto decay = static_cast<float>(opts.weight_decay);
  const auto momentum = static_cast<float>(opts.momentum);
  for (std::int64_t i = span.first + cuda::first_thread(); i < span.end; i += cuda::all_threads()) {
    const float weight = slab.w[i];
    const float g = cuda::as_f32(slab.dw[i]) * factor + decay * weight;
    const float velocity = momentum * m[i] + rate * g;
    m[i] = velocity;
    slab.store(i, weight - lr * velocity);
  }
}

}  // namespace

void cuda::lars_step(Context& ctx,
                     const LarsOpts& opts,
                     const StepState* state,
                     const Tensor& w,
                     const Tensor& dw,
                     const Tensor& m,
                     const Tensor& copy,
                     const Tensor& spans,
                     const Tensor& norms) {
  checks::lars_step(ctx, opts, state, w, dw, m, copy, spans, norms);
  const Grid grid{kShares, static_cast<unsigned>(spans.numel() / 2)};
  LAMINA_CHECK(grid.y * std::size_t{kShares} * 2 * sizeof(double) <= kScratchBytes,
               "lars_step: {} tensors are more than the scratch memory holds.",
               grid.y);
  const auto* const places = spans.as<std::int64_t>();
  visit_slab(w, dw, copy, "lars_step", [&]<class G, class C>(const Slab<G, C>& slab) {
    launch(ctx,
           "lars_norms",
           grid,
           kBlock,
           measure<G, C>,
           slab,
           places,
           state,
           norms.as<double>(),
           static_cast<double*>(scratch_of(ctx)),
           tickets_of(ctx));
    launch(ctx,
           "lars_step",
           grid,
           kBlock,
           update<G, C>,
           slab,
           m.as<float>(),
           opts,
           places,
           static_cast<const double*>(norms.as<double>()),
           state);
  });
}

}  // namespace lamina
