// Random numbers one after the other, for loops that cannot say beforehand how many they need.
// A sequence is named by (seed, stream, step), as every draw of the engine is: see philox.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/core/philox.h"

namespace lamina {

class PhiloxSequence {
 public:
  PhiloxSequence(std::uint64_t seed, std::uint32_t stream_id, std::uint32_t step)
      : seed_(seed), stream_(stream_id), step_(step) {}

  std::uint32_t next() {
    if (next_ % 4 == 0) words_ = philox(seed_, stream_, step_, next_ / 4);
    return words_.v[next_++ % 4];
  }

  // Uniform in [0, bound), without bias: Lemire, "Fast random integer generation in an interval",
  // https://doi.org/10.1145/3230636. `bound` is positive.
  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = std::uint64_t{next()} * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint32_t uneven = (0u - bound) % bound;
      while (static_cast<std::uint32_t>(product) < uneven) product = std::uint64_t{next()} * bound;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

  float uniform(float low, float high) { return low + (high - low) * uniform_from_bits(next()); }

 private:
  std::uint64_t seed_;
  std::uint32_t stream_, step_;
  std::uint64_t next_ = 0;
  Philox4 words_{};
};

}  // namespace lamina
