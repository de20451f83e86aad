// What a finished run is judged by: the test set's metrics, the worst mistakes, result.json,
// machine.json, the report.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "engine/train/evaluate.h"
#include "engine/train/report.h"

namespace lamina {

// The softmax of a net's outputs for one sample: logits, or log-probabilities, which have
// themselves as logits.
std::vector<double> probabilities(std::span<const float> outputs);

// Evaluation needs no gradients, so larger batches fit and are faster.
inline constexpr std::int64_t kEvalBatch = 256;
inline constexpr std::size_t kMistakesShown = 24;

// Evaluates and keeps the `keep` wrong predictions the net was surest of, the surest first.
// `dataset` is what the evaluator's sample numbers refer to.
EvalResult evaluate_with_mistakes(Evaluator& evaluator,
                                  const Dataset& dataset,
                                  std::size_t keep,
                                  std::vector<Mistake>& mistakes);

// Image 0, without the layers.
FeatureView first_image(const Dataset& dataset);

// {"net": ..., "test_accuracy": ..., ...}; equal runs give equal text.
std::string result_json(const RunReport& report);
// The memory plan, versions and the machine: what may differ where results are equal.
std::string machine_json(const RunReport& report);

// Versions and machine, for the report.
std::vector<std::pair<std::string, std::string>> environment_rows(const Context& ctx);

std::string utc_text(std::time_t time);  // "2026-01-31 12:00 UTC"
std::string utc_now();

}  // namespace lamina
