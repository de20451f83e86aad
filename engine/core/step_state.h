// The few numbers that change from step to step. They live in device memory, so that a step is a
// fixed list of launches: kernels read them, one launch at the end of the step advances them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/core/philox.h"

namespace lamina {

struct StepState {
  static constexpr std::int64_t kNowhere = INT64_MAX;

  std::int64_t step = 0;     // batches done since the start of training; keys the random draws
  std::int64_t cursor = 0;   // position in the epoch's permutation of the data set
  float lr = 0.0f;           // learning rate of the next update
  float clip = 1.0f;         // the gradients count times this, see kernels/gradient_slab.h
  std::int64_t updates = 0;  // of the parameters, those that were skipped too; a batch or more each
  float momentum =
      -1.0f;  // of the next update, sgd's or adam's beta1; below 0: the optimizer's own

  // Loss scaling, for f16: gradients are kept times `loss_scale`, and a step in which one of them
  // overflows changes no parameter. Micikevicius et al., "Mixed precision training",
  // https://arxiv.org/abs/1710.03740, section 3.2.
  float loss_scale = 1.0f;
  std::int32_t growth_interval = 0;       // doubled after so many good updates; 0: it is fixed
  std::int32_t good_steps = 0;            // since the scale last changed
  std::int64_t overflow_at = kNowhere;    // the first gradient of this step that is not finite
  std::int64_t last_overflow = kNowhere;  // that of the last skipped update
  std::int64_t skipped = 0;               // updates that changed no parameter

  LAMINA_HOST_DEVICE bool overflowed() const { return overflow_at != kNowhere; }

  LAMINA_HOST_DEVICE double momentum_or(double own) const {
    return momentum < 0.0f ? own : static_cast<double>(momentum);
  }

  // What a stored gradient has to be multiplied with.
  LAMINA_HOST_DEVICE float gradient_factor() const { return clip / loss_scale; }

  // The end of a batch of so many samples; update: the parameters were updated after it.
  LAMINA_HOST_DEVICE void advance(std::int64_t samples, bool update) {
    ++step;
    cursor += samples;
    if (!update) return;
    ++updates;
    if (overflowed()) {
      ++skipped;
      last_overflow = overflow_at;
      overflow_at = kNowhere;
      loss_scale = loss_scale > 1.0f ? loss_scale * 0.5f : 1.0f;
      good_steps = 0;
    } else if (growth_interval > 0 && ++good_steps >= growth_interval) {
      loss_scale *= 2.0f;
      good_steps = 0;
    }
  }
};

}  // namespace lamina
