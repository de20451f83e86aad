// The generator against the known answers that its authors distribute with Random123
// (kat_vectors, philox4x32 with 10 rounds).
// SPDX-License-Identifier: Apache-2.0
#include "engine/core/philox.h"

#include <array>

#include <gtest/gtest.h>

namespace lamina::test {
namespace {

using Words = std::array<std::uint32_t, 4>;

Words words_of(const Philox4& draw) { return {draw.v[0], draw.v[1], draw.v[2], draw.v[3]}; }

TEST(Philox, KnownAnswers) {
  EXPECT_EQ(words_of(philox(0, 0, 0, 0)), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(words_of(philox(~0ull, ~0u, ~0u, ~0ull)),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  // The digits of pi: counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0.
  EXPECT_EQ(words_of(philox(0x299f31d0a4093822ull, 0x03707344, 0x13198a2e, 0x85a308d3243f6a88ull)),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, ElementsAreTheWordsOfBlocks) {
  for (std::uint64_t element : {0ull, 1ull, 2ull, 3ull, 4ull, 4095ull, (1ull << 35) + 6}) {
    EXPECT_EQ(philox_u32(9, 8, 7, element), philox(9, 8, 7, element / 4).v[element % 4]);
  }
}

TEST(Philox, UniformsLieBelowOneOnAGridOf24Bits) {
  EXPECT_EQ(uniform_from_bits(0), 0.0f);
  EXPECT_EQ(uniform_from_bits(0xFF), 0.0f);
  EXPECT_EQ(uniform_from_bits(0x100), 1.0f / 16777216.0f);
  EXPECT_EQ(uniform_from_bits(0x80000000u), 0.5f);
  EXPECT_EQ(uniform_from_bits(0xFFFFFFFFu), 1.0f - 1.0f / 16777216.0f);
}

}  // namespace
}  // namespace lamina::test
