// Philox4x32-10, the counter-based generator behind every random number of the engine.
//
// Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC'11,
// https://doi.org/10.1145/2063384.2063405. The constants are the paper's.
//
// A draw is a pure function of (seed, stream, step, element): the same on every backend, for any
// thread count and after any resume. Host and device code share this header.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define LAMINA_HOST_DEVICE __host__ __device__
#else
#define LAMINA_HOST_DEVICE
#endif

namespace lamina {

struct Philox4 {
  std::uint32_t v[4];
};

// Streams below 1<<24 are layer numbers; the purposes of the engine itself lie above.
namespace stream {
inline constexpr std::uint32_t kShuffle = 0x01000000;
inline constexpr std::uint32_t kSplit = 0x02000000;
inline constexpr std::uint32_t kInit = 0x03000000;  // + parameter number
inline constexpr std::uint32_t kSynthetic = 0x04000000;
inline constexpr std::uint32_t kAugment = 0x05000000;
inline constexpr std::uint32_t kTest = 0x06000000;
inline constexpr std::uint32_t kMixup = 0x07000000;
inline constexpr std::uint32_t kPixels = 0x08000000;
}  // namespace stream

LAMINA_HOST_DEVICE inline Philox4 philox(std::uint64_t seed,
                                         std::uint32_t stream_id,
                                         std::uint32_t step,
                                         std::uint64_t block) {
  std::uint32_t c0 = static_cast<std::uint32_t>(block),
                c1 = static_cast<std::uint32_t>(block >> 32);
  std::uint32_t c2 = step, c3 = stream_id;
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// The 32 random bits of one element: block element/4, word element%4.
LAMINA_HOST_DEVICE inline std::uint32_t philox_u32(std::uint64_t seed,
                                                   std::uint32_t stream_id,
                                                   std::uint32_t step,
                                                   std::uint64_t element) {
  return philox(seed, stream_id, step, element / 4).v[element % 4];
}

// Uniform in [0, 1) with 24 bits, exact in f32.
LAMINA_HOST_DEVICE inline float uniform_from_bits(std::uint32_t bits) {
  return static_cast<float>(bits >> 8) * (1.0f / 16777216.0f);
}

}  // namespace lamina
