// A noisy machine: what a kernel of known cost would be seen to take on it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/core/philox.h"
#include "tools/kernels/verdict.h"

namespace lamina::kernel_bench {

// Noise adds time, never takes some away: a little always, much in bursts that last for a while.
// The whole machine drifts by `drift` and back every few hundred samples.
class NoisyMachine {
 public:
  explicit NoisyMachine(std::uint64_t seed, double drift = 0.1, double bursts = 0.15)
      : seed_(seed), drift_(drift), bursts_(bursts) {}

  double time(double cost) {
    if (burst_left_ == 0 && draw() < bursts_ / 6)
      burst_left_ = static_cast<int>(1 + 10 * draw());  // 6 samples on average
    const bool burst = burst_left_ > 0;
    if (burst) --burst_left_;
    const double slow = 1 + drift_ * 0.5 * (1 + std::sin(phase_ += 0.02));
    return cost * slow * (1 + 0.01 * -std::log(1 - draw()) + (burst ? 0.1 + draw() : 0.0));
  }

  Round round(double cost, int samples = 3) {
    Round round;
    for (int i = 0; i < samples; ++i) round.ms.push_back(time(cost));
    return round;
  }

 private:
  double draw() { return uniform_from_bits(philox_u32(seed_, stream::kTest, 7, drawn_++)); }

  std::uint64_t seed_, drawn_ = 0;
  double drift_, bursts_, phase_ = 0;
  int burst_left_ = 0;
};

}  // namespace lamina::kernel_bench
