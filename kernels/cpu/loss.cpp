// SPDX-License-Identifier: Apache-2.0
#include "kernels/loss.h"

#include <algorithm>
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
  bool in_few;
};

// The target of a sample: `even` of every class, and more of its label and of its partner's.
struct Target {
  std::int64_t label, partner;
  double own, other, even;

  double at(std::int64_t f) const {
    return even + (f == label ? own : 0.0) + (f == partner ? other : 0.0);
  }
};

std::int64_t first_of(const float* row, std::int64_t length, float value) {
  for (std::int64_t f = 0; f < length; ++f)
    if (row[f] == value) return f;
  return 0;  // NaN equals nothing
}

bool among_first_few(const float* row, std::int64_t length, std::int64_t label) {
  const float own = row[label];
  std::int64_t rank = 0;
  for (std::int64_t f = 0; f < label; ++f) rank += row[f] >= own ? 1 : 0;
  for (std::int64_t f = label + 1; f < length; ++f) rank += row[f] > own ? 1 : 0;
  return rank < kTopFew;
}

// What the target and the row have in common: sum(t * (from - x)).
double distance(const float* row, std::int64_t length, const Target& t, double from) {
  double sum = t.own * (from - row[t.label]);
  if (t.other != 0) sum += t.other * (from - row[t.partner]);
  if (t.even != 0) {
    const auto start = static_cast<float>(from);
    const Vec gaps = fold_row(
        Vec{}, length, [=](const Vec& s, const Vec& v) { return s + (start - v); }, row);
    sum += t.even * sum_lanes(gaps);
  }
  return sum;
}

// out -= scale * t, but for the even part.
void subtract_labels(const Target& t, double scale, float* out) {
  out[t.label] -= static_cast<float>(t.own * scale);
  if (t.other != 0) out[t.partner] -= static_cast<float>(t.other * scale);
}

// Each returns the loss of the row and writes scale * its gradient unless out is null.
double cross_entropy_row(const float* row,
                         std::int64_t length,
                         const Target& t,
                         float largest,
                         double scale,
                         float* out) {
  const double sum = row_exp_sum(row, length, largest);
  const double loss = std::log(sum) + distance(row, length, t, largest);
  if (out == nullptr) return loss;
  const auto factor = static_cast<float>(scale / sum);
  const auto even = static_cast<float>(t.even * scale);
  map_range(
      0, length, [=](const Vec& v) { return exp(v - largest) * factor - even; }, out, row);
  subtract_labels(t, scale, out);
  return loss;
}

double nll_row(const float* row, std::int64_t length, const Target& t, double scale, float* out) {
  const double loss = distance(row, length, t, 0.0);
  if (out == nullptr) return loss;
  std::fill(out, out + length, static_cast<float>(-t.even * scale));
  subtract_labels(t, scale, out);
  return loss;
}

double hinge_row(const float* row, std::int64_t length, const Target& t, double scale, float* out) {
  const double each = scale / static_cast<double>(length);
  const float of_label = row[t.label], of_partner = row[t.partner];
  double loss = 0, pulls = 0, partner_pulls = 0;
  for (std::int64_t f = 0; f < length; ++f) {
    const float x = row[f];
    double slope = 0;
    if (const float margin = 1.0f - of_label + x; f != t.label && margin > 0) {
      loss += t.own * static_cast<double>(margin);
      pulls += t.own;
      slope += t.own;
    }
    if (const float margin = 1.0f - of_partner + x; t.other != 0 && f != t.partner && margin > 0) {
      loss += t.other * static_cast<double>(margin);
      partner_pulls += t.other;
      slope += t.other;
    }
    if (out != nullptr) out[f] = static_cast<float>(slope * each);
  }
  if (out != nullptr) {
    out[t.label] -= static_cast<float>(pulls * each);
    out[t.partner] -= static_cast<float>(partner_pulls * each);
  }
  return loss / static_cast<double>(length);
}

double distance_row(const float* row,
                    std::int64_t length,
                    const Target& t,
                    bool squared,
                    double scale,
                    float* out) {
  const double each = scale / static_cast<double>(length);
  double loss = 0;
  for (std::int64_t f = 0; f < length; ++f) {
    const double far = row[f] - t.at(f);
    loss += squared ? far * far : std::abs(far);
    const double slope = squared ? 2 * far : far > 0 ? 1 : far < 0 ? -1 : 0;
    if (out != nullptr) out[f] = static_cast<float>(slope * each);
  }
  return loss / static_cast<double>(length);
}

}  // namespace

void class_loss(Context& ctx,
                const LossOpts& opts,
                const Tensor& x,
                const Tensor& labels,
                const Tensor& loss,
                const Tensor& dx,
                const Metrics& metrics,
                const StepState* state) {
  checks::class_loss(ctx, opts, x, labels, loss, dx, metrics, state);
  const std::int64_t samples = x.shape.n, classes = x.shape.per_sample();
  checks::labels(labels, classes);
  const std::int32_t* const label_of = labels.as<std::int32_t>();
  // Scratch: the results, then rows.
  static_assert(sizeof(Sample) % sizeof(float) == 0);
  const std::size_t x_floats = FloatRows::floats(ctx, x);
  const std::size_t result_floats =
      static_cast<std::size_t>(samples) * (sizeof(Sample) / sizeof(float));
  float* const memory =
      device_of(ctx).scratch<float>(result_floats + x_floats + FloatRows::floats(ctx, dx));
  auto* const results = reinterpret_cast<Sample*>(memory);  // NOLINT
  const FloatRows xs(x, memory + result_floats), dxs(dx, memory + result_floats + x_floats);
  const double own_share = opts.mixup.active() ? draw_mixup_weight(opts.mixup, state->step) : 1.0;
  const double sure = 1.0 - opts.smoothing;
  const double scale =
      opts.weight * (state != nullptr ? state->loss_scale : 1.0) / static_cast<double>(samples);
  for_each_row(ctx, x, [&](std::int64_t offset, std::int64_t length) {
    const std::int64_t n = offset / length;
    const float* const row = xs.read(offset);
    float* const out = dxs.at(offset);
    const Target target{label_of[n],
                        label_of[samples - 1 - n],
                        sure * own_share,
                        sure * (1.0 - own_share),
                        opts.smoothing / static_cast<double>(length)};
    const float largest = row_max(row, length);
    Sample& result = results[n];
    result.prediction = first_of(row, length, largest);
    result.in_few = among_first_few(row, length, target.label);
    switch (opts.kind) {  // dx may be x: nothing reads the row any more
      case LossKind::cross_entropy:
        result.loss = cross_entropy_row(row, length, target, largest, scale, out);
        break;
      case LossKind::nll:
        result.loss = nll_row(row, length, target, scale, out);
        break;
      case LossKind::hinge:
        result.loss = hinge_row(row, length, target, scale, out);
        break;
      case LossKind::mse:
      case LossKind::l1:
        result.loss = distance_row(row, length, target, opts.kind == LossKind::mse, scale, out);
        break;
    }
    dxs.put(offset);
  });
  double total = 0;
  std::int64_t correct = 0, in_few = 0;
  for (std::int64_t n = 0; n < samples; ++n) {
    total += results[n].loss;
    correct += results[n].prediction == label_of[n];
    in_few += results[n].in_few;
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
    sums[3] += static_cast<double>(in_few);
  }
}

}  // namespace lamina::cpu
