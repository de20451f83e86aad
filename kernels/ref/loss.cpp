// Cross-entropy and negative log-likelihood, sample by sample. Contract: kernels/loss.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/loss.h"

#include <cmath>

#include "kernels/checks.h"

namespace lamina {
namespace {

template <class T>
std::int64_t first_largest(const T* row, std::int64_t count) {
  std::int64_t best = 0;
  for (std::int64_t f = 1; f < count; ++f) {
    if (row[f] > row[best]) best = f;
  }
  return best;
}

// log(sum(exp(row))), with the largest element taken out so that exp cannot overflow.
template <class T>
double log_sum_exp(const T* row, std::int64_t count, double largest) {
  double sum = 0;
  for (std::int64_t f = 0; f < count; ++f) sum += std::exp(row[f] - largest);
  return largest + std::log(sum);
}

// Both losses are -logp[label]; they differ in whether x still has to be normalised.
void classify(Context& ctx,
              std::string_view op,
              bool logits,
              const LossOpts& opts,
              const Tensor& x,
              const Tensor& labels,
              const Tensor& loss,
              const Tensor& dx,
              const Metrics& metrics,
              const StepState* state) {
  checks::loss(ctx, op, x, labels, loss, dx, metrics, state);
  visit_real(x.dtype, op, [&]<class T>(T) {
    const std::int64_t samples = x.shape.n, classes = x.shape.per_sample();
    const double share =
        opts.weight * (state != nullptr ? state->loss_scale : 1.0) / static_cast<double>(samples);
    double total = 0;
    std::int64_t correct = 0;
    for (std::int64_t n = 0; n < samples; ++n) {
      const T* const row = x.as<T>() + n * classes;
      const std::int64_t label = labels.as<std::int32_t>()[n];
      LAMINA_CHECK(label >= 0 && label < classes,
                   "{}: the label of sample {} is {}; it must lie in [0, {}).",
                   op,
                   n,
                   label,
                   classes);
      const std::int64_t predicted = first_largest(row, classes);
      const double norm = logits ? log_sum_exp(row, classes, row[predicted]) : 0.0;
      total += norm - row[label];
      if (predicted == label) ++correct;
      if (metrics.confusion) ++metrics.confusion.as<std::int64_t>()[label * classes + predicted];
      if (!dx) continue;
      for (std::int64_t f = 0; f < classes; ++f) {
        const double probability = logits ? std::exp(row[f] - norm) : 0.0;
        const double gradient = probability - (f == label ? 1.0 : 0.0);
        dx.as<T>()[n * classes + f] = static_cast<T>(gradient * share);
      }
    }
    const double mean = total / static_cast<double>(samples);
    const double before = opts.add ? static_cast<double>(*loss.as<T>()) : 0.0;
    *loss.as<T>() = static_cast<T>(before + opts.weight * mean);
    if (metrics.history)
      metrics.history.as<float>()[state->step % metrics.history.numel()] = static_cast<float>(mean);
    if (metrics.sums) {
      double* const sums = metrics.sums.as<double>();
      sums[0] += total;
      sums[1] += static_cast<double>(correct);
      sums[2] += static_cast<double>(samples);
    }
  });
}

}  // namespace

void ref::cross_entropy(Context& ctx,
                        const LossOpts& opts,
                        const Tensor& x,
                        const Tensor& labels,
                        const Tensor& loss,
                        const Tensor& dx,
                        const Metrics& metrics,
                        const StepState* state) {
  classify(ctx, "cross_entropy", true, opts, x, labels, loss, dx, metrics, state);
}

void ref::nll(Context& ctx,
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
