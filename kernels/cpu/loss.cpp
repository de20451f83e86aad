// SPDX-License-Identifier: Apache-2.0
#include "kernels/loss.h"

#include <cmath>

#include "kernels/checks.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/rows.h"

namespace lamina::cpu {
namespace {

// What a sample adds to the loss and the metrics; kept apart so that they are added in order.
struct Sample {
  double loss;
  std::int64_t prediction;
};

std::int64_t first_of(const float* row, std::int64_t length, float value) {
  for (std::int64_t f = 0; f < length; ++f)
    if (row[f] == value) return f;
  return 0;  // NaN equals nothing
}

// Both losses are -logp[label]; cross-entropy has the normalisation in front.
template <bool logits>
void classify(Context& ctx,
              std::string_view op,
              const LossOpts& opts,
              const Tensor& x,
              const Tensor& labels,
              const Tensor& loss,
              const Tensor& dx,
              const Metrics& metrics,
              const StepState* state) {
  checks::loss(ctx, op, x, labels, loss, dx, metrics, state);
  const std::int64_t samples = x.shape.n, classes = x.shape.per_sample();
  const std::int32_t* const label_of = labels.as<std::int32_t>();
  for (std::int64_t n = 0; n < samples; ++n)
    LAMINA_CHECK(label_of[n] >= 0 && label_of[n] < classes,
                 "{}: the label of sample {} is {}; it must lie in [0, {}).",
                 op,
                 n,
                 label_of[n],
                 classes);
  auto* const results = device_of(ctx).scratch<Sample>(static_cast<std::size_t>(samples));
  const float loss_scale =
      static_cast<float>(opts.weight) * (state != nullptr ? state->loss_scale : 1.0f);
  const float share = loss_scale / static_cast<float>(samples);
  for_each_row(ctx, x, [&](std::int64_t offset, std::int64_t length) {
    const std::int64_t n = offset / length;
    const float* const row = x.as<float>() + offset;
    const float largest = row_max(row, length);
    Sample& result = results[n];
    result.prediction = first_of(row, length, largest);
    const double at_label = row[label_of[n]];
    if constexpr (logits) {
      const double sum = row_exp_sum(row, length, largest);
      result.loss = (largest - at_label) + std::log(sum);
      if (!dx) return;
      const auto scale = static_cast<float>(loss_scale / (sum * static_cast<double>(samples)));
      float* const out = dx.as<float>() + offset;
      map_range(
          0, length, [=](const Vec& v) { return exp(v - largest) * scale; }, out, row);
      out[label_of[n]] -= share;
    } else {
      result.loss = -at_label;
      if (!dx) return;
      float* const out = dx.as<float>() + offset;
      std::fill(out, out + length, 0.0f);
      out[label_of[n]] = -share;
    }
  });
  double total = 0;
  std::int64_t correct = 0;
  for (std::int64_t n = 0; n < samples; ++n) {
    total += results[n].loss;
    correct += results[n].prediction == label_of[n];
    if (metrics.confusion)
      ++metrics.confusion.as<std::int64_t>()[label_of[n] * classes + results[n].prediction];
  }
  const double mean = total / static_cast<double>(samples);
  const double before = opts.add ? static_cast<double>(*loss.as<float>()) : 0.0;
  *loss.as<float>() = static_cast<float>(before + opts.weight * mean);
  if (metrics.history)
    metrics.history.as<float>()[state->step % metrics.history.numel()] = static_cast<float>(mean);
  if (metrics.sums) {
    double* const sums = metrics.sums.as<double>();
    sums[0] += total;
    sums[1] += static_cast<double>(correct);
    sums[2] += static_cast<double>(samples);
  }
}

}  // namespace

void cross_entropy(Context& ctx,
                   const LossOpts& opts,
                   const Tensor& x,
                   const Tensor& labels,
                   const Tensor& loss,
                   const Tensor& dx,
                   const Metrics& metrics,
                   const StepState* state) {
  classify<true>(ctx, "cross_entropy", opts, x, labels, loss, dx, metrics, state);
}

void nll(Context& ctx,
         const LossOpts& opts,
         const Tensor& x,
         const Tensor& labels,
         const Tensor& loss,
         const Tensor& dx,
         const Metrics& metrics,
         const StepState* state) {
  classify<false>(ctx, "nll", opts, x, labels, loss, dx, metrics, state);
}

}  // namespace lamina::cpu
