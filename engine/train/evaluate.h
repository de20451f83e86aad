// Loss, accuracy and confusion of a model over a list of samples, in eval mode.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "engine/train/batch_walk.h"

namespace lamina {

// The metrics of an epoch in device memory: accumulated there, read once.
class MetricSums {
 public:
  MetricSums(Context& ctx, std::int64_t classes, bool confusion);

  Metrics device() const;
  void reset();
  struct Host {
    double loss_sum = 0, correct = 0, samples = 0, in_five = 0;
    double loss() const {  // NaN without a sign, which would be printed
      const double mean = samples > 0 ? loss_sum / samples : 0;
      return std::isnan(mean) ? std::numeric_limits<double>::quiet_NaN() : mean;
    }
    double accuracy() const { return samples > 0 ? correct / samples : 0; }
    double accuracy5() const { return samples > 0 ? in_five / samples : 0; }
  };
  Host read() const;
  void write(const Host& sums);                 // on resume
  std::vector<std::int64_t> confusion() const;  // classes x classes, empty when not kept

 private:
  Context* ctx_;
  std::int64_t classes_;
  Buffer sums_, confusion_;
};

struct EvalResult {
  MetricSums::Host sums;
  std::vector<std::int64_t> confusion;  // row = label, column = prediction
};

class Evaluator {
 public:
  Evaluator(Model& model,
            const DeviceDataset& data,
            const PrepareOpts& scaling,
            std::vector<std::int32_t> samples,
            const ProgramOpts& opts);  // batch, passes and loss count

  std::size_t arena_bytes() const { return walk_.arena_bytes(); }
  void bind(std::byte* arena);

  // Called with the first position, and the host copy of the batch's outputs [n, classes].
  using OutputReader =
      std::function<void(std::int64_t first, std::span<const float> outputs, std::int64_t classes)>;
  EvalResult run(const OutputReader& reader = {});

  const std::vector<std::int32_t>& samples() const { return samples_; }
  std::size_t stream_bytes() const { return walk_.stream_bytes(); }

 private:
  Context* ctx_;
  std::vector<std::int32_t> samples_;
  BatchWalk walk_;
  MetricSums metrics_;
  Buffer state_;
};

// 0, 1, ..., count-1
std::vector<std::int32_t> all_samples(std::int64_t count);

}  // namespace lamina
