// Losses of a classifier, sample by sample. Contract: kernels/loss.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/loss.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/checks.h"

namespace lamina {
namespace {

// The label of a sample and, with mixup, that of its partner; both shares add up to 1.
struct Labels {
  std::int64_t own, partner;
  double own_share, partner_share;
};

std::vector<double> target_of(const Labels& labels, double smoothing, std::int64_t classes) {
  std::vector<double> target(static_cast<std::size_t>(classes),
                             smoothing / static_cast<double>(classes));
  target[static_cast<std::size_t>(labels.own)] += (1 - smoothing) * labels.own_share;
  target[static_cast<std::size_t>(labels.partner)] += (1 - smoothing) * labels.partner_share;
  return target;
}

// One sample: its loss, and the gradient of it.
struct Judged {
  double loss = 0;
  std::vector<double> dx;
};

Judged judge_by_likelihood(const std::vector<double>& x,
                           const std::vector<double>& target,
                           bool logits) {
  double norm = 0;
  if (logits) {
    const double largest = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (double value : x) sum += std::exp(value - largest);
    norm = largest + std::log(sum);
  }
  Judged judged{0, std::vector<double>(x.size())};
  for (std::size_t f = 0; f < x.size(); ++f) {
    if (target[f] != 0) judged.loss += target[f] * (norm - x[f]);
    judged.dx[f] = (logits ? std::exp(x[f] - norm) : 0.0) - target[f];
  }
  return judged;
}

void add_hinge(const std::vector<double>& x, std::int64_t label, double share, Judged& judged) {
  const auto own = static_cast<std::size_t>(label);
  const double each = share / static_cast<double>(x.size());
  for (std::size_t f = 0; f < x.size(); ++f) {
    const double margin = 1 - x[own] + x[f];
    if (f == own || margin <= 0) continue;
    judged.loss += each * margin;
    judged.dx[f] += each;
    judged.dx[own] -= each;
  }
}

Judged judge_by_distance(const std::vector<double>& x,
                         const std::vector<double>& target,
                         bool squared) {
  const double each = 1 / static_cast<double>(x.size());
  Judged judged{0, std::vector<double>(x.size())};
  for (std::size_t f = 0; f < x.size(); ++f) {
    const double far = x[f] - target[f];
    judged.loss += each * (squared ? far * far : std::abs(far));
    judged.dx[f] = each * (squared ? 2 * far : far > 0 ? 1 : far < 0 ? -1 : 0);
  }
  return judged;
}

Judged judge(const std::vector<double>& x, const Labels& labels, const LossOpts& opts) {
  const auto classes = static_cast<std::int64_t>(x.size());
  switch (opts.kind) {
    case LossKind::cross_entropy:
    case LossKind::nll:
      return judge_by_likelihood(
          x, target_of(labels, opts.smoothing, classes), opts.kind == LossKind::cross_entropy);
    case LossKind::hinge: {
      Judged judged{0, std::vector<double>(x.size())};
      add_hinge(x, labels.own, labels.own_share, judged);
      add_hinge(x, labels.partner, labels.partner_share, judged);
      return judged;
    }
    case LossKind::mse:
    case LossKind::l1:
      return judge_by_distance(
          x, target_of(labels, opts.smoothing, classes), opts.kind == LossKind::mse);
  }
  return {};
}

// How many elements come before the one of the label, when the largest comes first.
std::int64_t rank_of(const std::vector<double>& x, std::int64_t label) {
  std::int64_t rank = 0;
  const double own = x[static_cast<std::size_t>(label)];
  for (std::size_t f = 0; f < x.size(); ++f)
    rank += x[f] > own || (x[f] == own && static_cast<std::int64_t>(f) < label);
  return rank;
}

}  // namespace

void ref::class_loss(Context& ctx,
                     const LossOpts& opts,
                     const Tensor& x,
                     const Tensor& labels,
                     const Tensor& loss,
                     const Tensor& dx,
                     const Metrics& metrics,
                     const StepState* state) {
  checks::class_loss(ctx, opts, x, labels, loss, dx, metrics, state);
  checks::labels(labels, x.shape.per_sample());
  visit_real(x.dtype, "class_loss", [&]<class T>(T) {
    const std::int64_t samples = x.shape.n, classes = x.shape.per_sample();
    const std::int32_t* const label_of = labels.as<std::int32_t>();
    const double own_share = opts.mixup.active() ? draw_mixup_weight(opts.mixup, state->step) : 1.0;
    const double scale =
        opts.weight * (state != nullptr ? state->loss_scale : 1.0) / static_cast<double>(samples);
    double total = 0;
    std::int64_t correct = 0, in_few = 0;
    for (std::int64_t n = 0; n < samples; ++n) {
      const T* const row = x.as<T>() + n * classes;
      const std::vector<double> values(row, row + classes);
      const std::int64_t label = label_of[n];
      const Judged judged =
          judge(values, {label, label_of[samples - 1 - n], own_share, 1 - own_share}, opts);
      total += judged.loss;
      const auto predicted = std::max_element(values.begin(), values.end()) - values.begin();
      correct += predicted == label;
      in_few += rank_of(values, label) < kTopFew;
      if (metrics.confusion) ++metrics.confusion.as<std::int64_t>()[label * classes + predicted];
      for (std::int64_t f = 0; dx && f < classes; ++f)
        dx.as<T>()[n * classes + f] =
            static_cast<T>(judged.dx[static_cast<std::size_t>(f)] * scale);
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
      sums[3] += static_cast<double>(in_few);
    }
  });
}

}  // namespace lamina
