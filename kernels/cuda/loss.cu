// Losses of a classifier: a warp a sample; the last block adds the samples up. Contract:
// kernels/loss.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/loss.h"

#include "kernels/checks.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

// What a sample leaves in the scratch memory.
struct Sample {
  float loss;
  std::int32_t correct, in_few;
};

template <class T>
LAMINA_DEVICE int first_largest(const T* row, int classes) {
  int best = cuda::lane();
  float value = -INFINITY;
  for (int f = best; f < classes; f += cuda::kWarp) {
    const float x = cuda::as_f32(row[f]);
    if (x > value || f == cuda::lane()) {
      value = x;
      best = f;
    }
  }
  for (int mask = cuda::kWarp / 2; mask > 0; mask /= 2) {
    const float other = cuda::shuffle_xor(value, mask);
    const int at = cuda::shuffle_xor(best, mask);
    if (other > value || (other == value && at < best)) {
      value = other;
      best = at;
    }
  }
  return best;
}

// Where the loss of the batch goes.
struct Report {
  LossOpts opts;
  float* loss;
  double* sums;    // null: nowhere
  float* history;  // null: nowhere; else element state->step % count
  std::int64_t count;
};

// By one block. The order of the additions depends on the number of samples alone.
LAMINA_DEVICE void report(const Sample* results,
                          std::int64_t samples,
                          const Report& to,
                          const StepState* state) {
  LAMINA_SHARED(double, scratch, [cuda::kWarp]);
  double sum = 0.0, correct = 0.0, in_few = 0.0;
  for (std::int64_t n = threadIdx.x; n < samples; n += cuda::kBlock) {
    sum += static_cast<double>(results[n].loss);
    correct += static_cast<double>(results[n].correct);
    in_few += static_cast<double>(results[n].in_few);
  }
  sum = cuda::block_sum(sum, scratch);
  correct = cuda::block_sum(correct, scratch);
  in_few = cuda::block_sum(in_few, scratch);
  if (threadIdx.x != 0) return;
  const double mean = sum / static_cast<double>(samples);
  const double before = to.opts.add ? static_cast<double>(*to.loss) : 0.0;
  *to.loss = static_cast<float>(before + to.opts.weight * mean);
  if (to.history != nullptr) to.history[state->step % to.count] = static_cast<float>(mean);
  if (to.sums == nullptr) return;
  to.sums[0] += sum;
  to.sums[1] += correct;
  to.sums[2] += static_cast<double>(samples);
  to.sums[3] += in_few;
}

// The target of a sample: `even` of every class, and more of its label and of its partner's.
struct Target {
  int label, partner;
  float own, other, even;

  LAMINA_DEVICE float at(int f) const {
    return even + (f == label ? own : 0.0f) + (f == partner ? other : 0.0f);
  }
};

// The element f of a row, for every lane.
template <class T>
LAMINA_DEVICE float element(const T* row, int f) {
  return cuda::warp_sum(cuda::lane() == f % cuda::kWarp ? cuda::as_f32(row[f]) : 0.0f);
}

// How many elements come before the one of the label, when the largest comes first.
template <class T>
LAMINA_DEVICE int rank_of(const T* row, int classes, int label, float of_label) {
  int rank = 0;
  for (int f = cuda::lane(); f < classes; f += cuda::kWarp) {
    const float x = cuda::as_f32(row[f]);
    rank += x > of_label || (x == of_label && f < label) ? 1 : 0;
  }
  return cuda::warp_sum(rank);
}

// The losses of a row. A lane reads and writes its own elements alone, so that dx may be x; `out`
// may be null. Every lane gets the loss of the row; the gradient is times `scale`.
template <class T>
LAMINA_DEVICE float cross_entropy_row(const T* row,
                                      int classes,
                                      const Target& t,
                                      float of_label,
                                      float of_partner,
                                      float scale,
                                      T* out) {
  const float largest = cuda::row_max(row, classes);
  const float sum = cuda::row_exp_sum(row, classes, largest);
  float below = 0.0f;  // sum of largest - x
  if (t.even != 0.0f) {
    for (int f = cuda::lane(); f < classes; f += cuda::kWarp)
      below += largest - cuda::as_f32(row[f]);
    below = cuda::warp_sum(below);
  }
  if (out != nullptr) {
    for (int f = cuda::lane(); f < classes; f += cuda::kWarp)
      out[f] = cuda::from_f32<T>((expf(cuda::as_f32(row[f]) - largest) / sum - t.at(f)) * scale);
  }
  float loss = logf(sum) + t.own * (largest - of_label);
  if (t.other != 0.0f) loss += t.other * (largest - of_partner);
  return loss + t.even * below;
}

template <class T>
LAMINA_DEVICE float nll_row(const T* row,
                            int classes,
                            const Target& t,
                            float of_label,
                            float of_partner,
                            float scale,
                            T* out) {
  float sum = 0.0f;
  if (t.even != 0.0f) {
    for (int f = cuda::lane(); f < classes; f += cuda::kWarp) sum += cuda::as_f32(row[f]);
    sum = cuda::warp_sum(sum);
  }
  if (out != nullptr) {
    for (int f = cuda::lane(); f < classes; f += cuda::kWarp)
      out[f] = cuda::from_f32<T>(-t.at(f) * scale);
  }
  float loss = -(t.own * of_label);
  if (t.other != 0.0f) loss -= t.other * of_partner;
  if (t.even != 0.0f) loss -= t.even * sum;
  return loss;
}

template <class T>
LAMINA_DEVICE float hinge_row(const T* row,
                              int classes,
                              const Target& t,
                              float of_label,
                              float of_partner,
                              float scale,
                              T* out) {
  const float each = scale / static_cast<float>(classes);
  float loss = 0.0f;
  int pulls = 0, partner_pulls = 0;
  for (int f = cuda::lane(); f < classes; f += cuda::kWarp) {
    const float x = cuda::as_f32(row[f]);
    const float margin = 1.0f - of_label + x, partner_margin = 1.0f - of_partner + x;
    const bool own = f != t.label && margin > 0.0f;
    const bool other = t.other != 0.0f && f != t.partner && partner_margin > 0.0f;
    loss += (own ? t.own * margin : 0.0f) + (other ? t.other * partner_margin : 0.0f);
    pulls += own ? 1 : 0;
    partner_pulls += other ? 1 : 0;
  }
  pulls = cuda::warp_sum(pulls);
  partner_pulls = cuda::warp_sum(partner_pulls);
  if (out != nullptr) {
    for (int f = cuda::lane(); f < classes; f += cuda::kWarp) {
      const float x = cuda::as_f32(row[f]);
      float slope = 0.0f;
      if (f != t.label && 1.0f - of_label + x > 0.0f) slope += t.own;
      if (t.other != 0.0f && f != t.partner && 1.0f - of_partner + x > 0.0f) slope += t.other;
      if (f == t.label) slope -= t.own * static_cast<float>(pulls);
      if (f == t.partner) slope -= t.other * static_cast<float>(partner_pulls);
      out[f] = cuda::from_f32<T>(slope * each);
    }
  }
  return cuda::warp_sum(loss) / static_cast<float>(classes);
}

template <class T>
LAMINA_DEVICE float distance_row(
    const T* row, int classes, const Target& t, bool squared, float scale, T* out) {
  const float each = scale / static_cast<float>(classes);
  float loss = 0.0f;
  for (int f = cuda::lane(); f < classes; f += cuda::kWarp) {
    const float far = cuda::as_f32(row[f]) - t.at(f);
    loss += squared ? far * far : fabsf(far);
    const float slope = squared ? 2.0f * far : far > 0.0f ? 1.0f : far < 0.0f ? -1.0f : 0.0f;
    if (out != nullptr) out[f] = cuda::from_f32<T>(slope * each);
  }
  return cuda::warp_sum(loss) / static_cast<float>(classes);
}

template <class T>
LAMINA_KERNEL judge(const T* x,
                    const std::int32_t* labels,
                    T* dx,
                    std::int64_t samples,
                    int classes,
                    const StepState* state,
                    std::int64_t* confusion,
                    Sample* results,
                    Report to,
                    std::uint32_t* ticket) {
  LAMINA_SHARED(float, own_share);
  // The powers of the draw are expensive and the same for everyone.
  if (threadIdx.x == 0)
    own_share = to.opts.mixup.active() ? draw_mixup_weight(to.opts.mixup, state->step) : 1.0f;
  cuda::barrier();
  const float sure = 1.0f - static_cast<float>(to.opts.smoothing);
  const float even = static_cast<float>(to.opts.smoothing) / static_cast<float>(classes);
  const float scale = static_cast<float>(to.opts.weight) *
                      (state == nullptr ? 1.0f : state->loss_scale) / static_cast<float>(samples);
  for (std::int64_t n = cuda::first_warp(); n < samples; n += cuda::all_warps()) {
    const T* const row = x + n * classes;
    T* const out = dx == nullptr ? nullptr : dx + n * classes;
    const Target t{
        labels[n], labels[samples - 1 - n], sure * own_share, sure * (1.0f - own_share), even};
    const int predicted = first_largest(row, classes);
    const float of_label = element(row, t.label), of_partner = element(row, t.partner);
    const int rank = rank_of(row, classes, t.label, of_label);
    float loss = 0.0f;
    switch (to.opts.kind) {
      case LossKind::cross_entropy:
        loss = cross_entropy_row(row, classes, t, of_label, of_partner, scale, out);
        break;
      case LossKind::nll:
        loss = nll_row(row, classes, t, of_label, of_partner, scale, out);
        break;
      case LossKind::hinge:
        loss = hinge_row(row, classes, t, of_label, of_partner, scale, out);
        break;
      case LossKind::mse:
      case LossKind::l1:
        loss = distance_row(row, classes, t, to.opts.kind == LossKind::mse, scale, out);
        break;
    }
    if (cuda::lane() != 0) continue;
    results[n] = {loss, predicted == t.label ? 1 : 0, rank < kTopFew ? 1 : 0};
    if (confusion != nullptr)
      cuda::add_atomic(confusion + static_cast<std::int64_t>(t.label) * classes + predicted,
                       std::int64_t{1});
  }
  if (cuda::last_block(ticket, gridDim.x)) report(results, samples, to, state);
}

}  // namespace

void cuda::class_loss(Context& ctx,
                      const LossOpts& opts,
                      const Tensor& x,
                      const Tensor& labels,
                      const Tensor& loss,
                      const Tensor& dx,
                      const Metrics& metrics,
                      const StepState* state) {
  checks::class_loss(ctx, opts, x, labels, loss, dx, metrics, state);
  const std::int64_t samples = x.shape.n;
  LAMINA_CHECK(samples * static_cast<std::int64_t>(sizeof(Sample)) <=
                   static_cast<std::int64_t>(kScratchBytes),
               "class_loss: a batch of {} samples is more than the scratch memory holds; use a "
               "smaller one.",
               samples);
  auto* const results = static_cast<Sample*>(scratch_of(ctx));
  const Report to{opts,
                  loss.as<float>(),
                  metrics.sums ? metrics.sums.as<double>() : nullptr,
                  metrics.history ? metrics.history.as<float>() : nullptr,
                  metrics.history.numel()};
  visit_compute(x.dtype, "class_loss", [&]<class T>(T) {
    launch(ctx,
           "class_loss",
           blocks_for(samples * kWarp),
           kBlock,
           judge<T>,
           x.as<T>(),
           labels.as<std::int32_t>(),
           dx ? dx.as<T>() : nullptr,
           samples,
           static_cast<int>(x.shape.per_sample()),
           state,
           metrics.confusion ? metrics.confusion.as<std::int64_t>() : nullptr,
           results,
           to,
           tickets_of(ctx));
  });
}

}  // namespace lamina
