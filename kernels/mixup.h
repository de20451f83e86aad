// Mixup: each image of a batch blended with the one at the other end of the batch, and the losses
// of both labels with the same weight. Zhang et al., https://arxiv.org/abs/1710.09412.
//
// Sample n becomes weight * x[n] + (1 - weight) * x[N-1-n], with one weight a batch. prepare()
// blends the images, the losses (loss.h) read both labels; each draws the weight by itself, alike
// on every backend.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/core/philox.h"

namespace lamina {

struct MixupOpts {
  double alpha = 0;  // the weight is drawn from Beta(alpha, alpha), alpha in (0, 1]; 0: no mixup
  std::uint64_t seed = 0;

  LAMINA_HOST_DEVICE bool active() const { return alpha > 0; }
};

// Of the batch of this training step, a multiple of 2^-16, so that the last bits of pow(), in which
// backends differ, do not show. Jöhnk's method, Metrika 8 (1964),
// https://doi.org/10.1007/BF02613706.
LAMINA_HOST_DEVICE inline float draw_mixup_weight(const MixupOpts& opts, std::int64_t step) {
  constexpr int kAttempts = 64;  // each fails with probability one half or less
  constexpr double kUnit = 1.0 / 4294967296.0, kGrid = 65536.0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const Philox4 bits = philox(opts.seed,
                                stream::kMixup,
                                static_cast<std::uint32_t>(step),
                                static_cast<std::uint64_t>(attempt));
    const double x = pow((bits.v[0] + 0.5) * kUnit, 1.0 / opts.alpha);
    const double y = pow((bits.v[1] + 0.5) * kUnit, 1.0 / opts.alpha);
    const double sum = x + y;
    if (sum > 0 && sum <= 1) return static_cast<float>(floor(x / sum * kGrid + 0.5) / kGrid);
  }
  return 1.0f;
}

}  // namespace lamina
