// SPDX-License-Identifier: Apache-2.0
#include "engine/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lamina {

namespace {

// From `from` at share 0 to `to` at share 1, along half a cosine.
double cosine(double from, double to, double share) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * share)) / 2;
}

}  // namespace

Schedule::Schedule(const TrainConfig& config, std::int64_t updates_per_epoch)
    : config_(config),
      milestones_(config.milestone_list()),
      per_epoch_(updates_per_epoch),
      total_(config.epochs * updates_per_epoch),
      warmup_(std::llround(config.warmup * static_cast<double>(updates_per_epoch))) {
  plateau_.rate = config.lr;
}

double Schedule::rate(std::int64_t update) const {
  if (update < warmup_)
    return after_warmup(warmup_) * static_cast<double>(update + 1) / static_cast<double>(warmup_);
  return after_warmup(update);
}

double Schedule::after_warmup(std::int64_t update) const {
  const std::int64_t epoch = update / per_epoch_;
  if (config_.schedule == "step")
    return config_.lr * std::pow(config_.gamma, static_cast<double>(epoch / config_.step_epochs));
  if (config_.schedule == "multi_step") {
    const auto passed = std::count_if(
        milestones_.begin(), milestones_.end(), [&](std::int64_t m) { return m <= epoch; });
    return config_.lr * std::pow(config_.gamma, static_cast<double>(passed));
  }
  if (config_.schedule == "cosine") {
    const auto length = static_cast<double>(std::max<std::int64_t>(1, total_ - warmup_));
    return cosine(config_.lr, config_.lr_min, static_cast<double>(update - warmup_) / length);
  }
  if (config_.schedule == "one_cycle") {
    constexpr double kStart = 1.0 / 25, kEnd = kStart / 1e4;  // shares of lr
    return one_cycle(update, config_.lr * kStart, config_.lr, config_.lr * kEnd);
  }
  if (config_.schedule == "plateau") return plateau_.rate;
  return config_.lr;
}

double Schedule::momentum(std::int64_t update) const {
  return one_cycle(update, config_.max_momentum, config_.base_momentum, config_.max_momentum);
}

double Schedule::one_cycle(std::int64_t update, double start, double top, double end) const {
  constexpr double kRising = 0.3;
  const double peak = kRising * static_cast<double>(total_) - 1;
  const double last = static_cast<double>(total_) - 1, at = static_cast<double>(update);
  if (at <= peak) return cosine(start, top, at / peak);
  return cosine(top, end, std::min(1.0, (at - peak) / (last - peak)));
}

void Schedule::end_epoch(double loss) {
  constexpr double kThreshold = 1e-4;
  if (loss < plateau_.best * (1 - kThreshold)) {
    plateau_.best = loss;
    plateau_.stale = 0;
  } else if (++plateau_.stale > config_.patience) {
    plateau_.rate = std::max(plateau_.rate * config_.gamma, config_.lr_min);
    plateau_.stale = 0;
  }
}

}  // namespace lamina
