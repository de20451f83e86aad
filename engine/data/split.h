// Which samples are trained on, which validate, and in what order: pure functions of the seed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lamina {

// `items` in a random order (Fisher and Yates), every order equally likely. `stream` is one of
// lamina::stream, `epoch` makes the orders of a run's epochs independent.
std::vector<std::int32_t> shuffled_order(std::uint64_t seed,
                                         std::uint32_t stream,
                                         std::uint32_t epoch,
                                         std::span<const std::int32_t> items);

struct Split {
  std::vector<std::int32_t> train, val;
};

// Samples 0 to count-1 in two random parts: train has floor((1 - val_fraction) * count), the sizes
// that `random_split` of PyTorch makes of the same numbers. val_fraction in [0, 1); some sample is
// left to train on, or this throws.
Split split_train_val(std::int64_t count, double val_fraction, std::uint64_t seed);

}  // namespace lamina
