// SPDX-License-Identifier: Apache-2.0
#include "engine/train/evaluate.h"

#include <numeric>

#include "engine/graph/host_values.h"
#include "kernels/optimizer.h"

namespace lamina {

MetricSums::MetricSums(Context& ctx, std::int64_t classes, bool confusion)
    : ctx_(&ctx), classes_(classes), sums_(ctx.allocate(kMetricSums * sizeof(double))) {
  if (confusion)
    confusion_ = ctx.allocate(static_cast<std::size_t>(classes * classes) * sizeof(std::int64_t));
  reset();
}

Metrics MetricSums::device() const {
  Metrics metrics{vector_view(sums_.data(), DType::f64, kMetricSums), {}, {}};
  if (confusion_.data())
    metrics.confusion = vector_view(confusion_.data(), DType::i64, classes_ * classes_);
  return metrics;
}

void MetricSums::reset() {
  ctx_->zero(sums_.data(), sums_.size());
  if (confusion_.data()) ctx_->zero(confusion_.data(), confusion_.size());
}

MetricSums::Host MetricSums::read() const {
  double values[kMetricSums];
  ctx_->copy_out(values, sums_.data(), sizeof values);
  return {values[0], values[1], values[2], values[3]};
}

void MetricSums::write(const Host& sums) {
  const double values[kMetricSums] = {sums.loss_sum, sums.correct, sums.samples, sums.in_five};
  ctx_->copy_in(sums_.data(), values, sizeof values);
}

std::vector<std::int64_t> MetricSums::confusion() const {
  std::vector<std::int64_t> counts(confusion_.size() / sizeof(std::int64_t));
  if (!counts.empty()) ctx_->copy_out(counts.data(), confusion_.data(), confusion_.size());
  return counts;
}

Evaluator::Evaluator(Model& model,
                     const DeviceDataset& data,
                     const PrepareOpts& scaling,
                     std::vector<std::int32_t> samples,
                     const ProgramOpts& opts)
    : ctx_(&model.context()),
      samples_(std::move(samples)),
      walk_(model,
            data,
            scaling,
            {.batch = opts.batch,
             .mode = Mode::eval,
             .backward = false,
             .passes = opts.passes,
             .loss = opts.loss},
            static_cast<std::int64_t>(samples_.size())),
      metrics_(*ctx_, model.graph().classes(), true),
      state_(ctx_->allocate(sizeof(StepState))) {
  walk_.set_order(samples_);
}

void Evaluator::bind(std::byte* arena) {
  walk_.bind(arena, static_cast<const StepState*>(state_.data()));
}

EvalResult Evaluator::run(const OutputReader& reader) {
  auto* state = static_cast<StepState*>(state_.data());
  const StepState start;
  ctx_->copy_in(state, &start, sizeof start);
  metrics_.reset();
  for (std::int64_t cursor = 0; cursor < walk_.count();) {
    Program& program = walk_.load(cursor);
    program.forward();
    program.loss_and_gradient(metrics_.device());
    advance(*ctx_, {.samples = program.batch()}, state, {}, {});
    if (reader) {
      reader(cursor, read_values(*ctx_, program.output()), program.output().shape.per_sample());
    }
    cursor += program.batch();
  }
  return {metrics_.read(), metrics_.confusion()};
}

std::vector<std::int32_t> all_samples(std::int64_t count) {
  std::vector<std::int32_t> samples(static_cast<std::size_t>(count));
  std::iota(samples.begin(), samples.end(), 0);
  return samples;
}

}  // namespace lamina
