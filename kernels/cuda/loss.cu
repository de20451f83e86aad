// Classification losses: a warp a sample; the last block adds the samples up. Contract:
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
  std::int32_t correct;
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
  double sum = 0.0, correct = 0.0;
  for (std::int64_t n = threadIdx.x; n < samples; n += cuda::kBlock) {
    sum += static_cast<double>(results[n].loss);
    correct += static_cast<double>(results[n].correct);
  }
  sum = cuda::block_sum(sum, scratch);
  correct = cuda::block_sum(correct, scratch);
  if (threadIdx.x != 0) return;
  const double mean = sum / static_cast<double>(samples);
  const double before = to.opts.add ? static_cast<double>(*to.loss) : 0.0;
  *to.loss = static_cast<float>(before + to.opts.weight * mean);
  if (to.history != nullptr) to.history[state->step % to.count] = static_cast<float>(mean);
  if (to.sums == nullptr) return;
  to.sums[0] += sum;
  to.sums[1] += correct;
  to.sums[2] += static_cast<double>(samples);
}

template <class T>
LAMINA_KERNEL judge(const T* x,
                    const std::int32_t* labels,
                    T* dx,
                    std::int64_t samples,
                    int classes,
                    bool logits,
                    const StepState* state,
                    std::int64_t* confusion,
                    Sample* results,
                    Report to,
                    std::uint32_t* ticket) {
  // Lane f % kWarp alone touches element f of a row: dx may be x, and no other order is kept.
  const int lane = cuda::lane();
  const float scale =
      static_cast<float>(to.opts.weight) * (state == nullptr ? 1.0f : state->loss_scale);
  const float share = scale / static_cast<float>(samples);
  for (std::int64_t n = cuda::first_warp(); n < samples; n += cuda::all_warps()) {
    const T* const row = x + n * classes;
    const int label = labels[n];
    const int predicted = first_largest(row, classes);
    float largest = 0.0f, sum = 1.0f;
    if (logits) {
      largest = cuda::row_max(row, classes);
      sum = cuda::row_exp_sum(row, classes, largest);
    }
    const bool owner = lane == label % cuda::kWarp;
    const float of_label = owner ? cuda::as_f32(row[label]) : 0.0f;
    if (dx != nullptr) {
      for (int f = lane; f < classes; f += cuda::kWarp) {
        const float p = logits ? expf(cuda::as_f32(row[f]) - largest) / sum : 0.0f;
        dx[n * classes + f] = cuda::from_f32<T>((p - (f == label ? 1.0f : 0.0f)) * share);
      }
    }
    if (owner) {
      results[n] = {logits ? largest - of_label + logf(sum) : -of_label,
                    predicted == label ? 1 : 0};
      if (confusion != nullptr)
        cuda::add_atomic(confusion + static_cast<std::int64_t>(label) * classes + predicted,
                         std::int64_t{1});
    }
  }
  if (cuda::last_block(ticket, gridDim.x)) report(results, samples, to, state);
}

void classify(Context& ctx,
              const char* name,
              bool logits,
              const LossOpts& opts,
              const Tensor& x,
              const Tensor& labels,
              const Tensor& loss,
              const Tensor& dx,
              const Metrics& metrics,
              const StepState* state) {
  using namespace cuda;
  checks::loss(ctx, name, x, labels, loss, dx, metrics, state);
  const std::int64_t samples = x.shape.n;
  LAMINA_CHECK(
      samples * static_cast<std::int64_t>(sizeof(Sample)) <=
          static_cast<std::int64_t>(kScratchBytes),
      "{}: a batch of {} samples is more than the scratch memory holds; use a smaller one.",
      name,
      samples);
  auto* const results = static_cast<Sample*>(scratch_of(ctx));
  const Report to{opts,
                  loss.as<float>(),
                  metrics.sums ? metrics.sums.as<double>() : nullptr,
                  metrics.history ? metrics.history.as<float>() : nullptr,
                  metrics.history.numel()};
  visit_compute(x.dtype, name, [&]<class T>(T) {
    launch(ctx,
           name,
           blocks_for(samples * kWarp),
           kBlock,
           judge<T>,
           x.as<T>(),
           labels.as<std::int32_t>(),
           dx ? dx.as<T>() : nullptr,
           samples,
           static_cast<int>(x.shape.per_sample()),
           logits,
           state,
           metrics.confusion ? metrics.confusion.as<std::int64_t>() : nullptr,
           results,
           to,
           tickets_of(ctx));
  });
}

}  // namespace

void cuda::cross_entropy(Context& ctx,
                         const LossOpts& opts,
                         const Tensor& x,
                         const Tensor& labels,
                         const Tensor& loss,
                         const Tensor& dx,
                         const Metrics& metrics,
                         const StepState* state) {
  classify(ctx, "cross_entropy", true, opts, x, labels, loss, dx, metrics, state);
}

void cuda::nll(Context& ctx,
               const LossOpts& opts,
               const Tensor& x,
               const Tensor& labels,
               const Tensor& loss,
               const Tensor& dx,
               const Metrics& metrics,
               const StepState* state) {
  classify(ctx, "nll", false, opts, x, labels, loss, dx, metrics, state);
}

}  // namespace lamina
