// What a net is trained on. The formulas stand in kernels/loss.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

namespace lamina {

enum class LossKind {
  cross_entropy,  // the net returns logits
  nll,            // the net returns log-probabilities
  hinge,          // multi-class hinge; the net returns scores
  mse,            // squares of the distance to the one-hot label
  l1,             // magnitudes of it
};

inline constexpr std::array<std::string_view, 5> kLossNames{
    "cross_entropy", "nll", "hinge", "mse", "l1"};
inline std::string_view name_of(LossKind kind) {
  return kLossNames[static_cast<std::size_t>(kind)];
}

}  // namespace lamina
