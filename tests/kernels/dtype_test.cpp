// bf16 and f16: every bit pattern, and the rounding between every two neighbours.
// SPDX-License-Identifier: Apache-2.0
#include "engine/core/dtype.h"

#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace lamina::test {
namespace {

struct Bf16 {
  static std::uint16_t pack(float value) { return to_bf16(value).bits; }
  static float unpack(std::uint16_t bits) { return to_float(bf16{bits}); }
  static constexpr int kMantissa = 7, kBias = 127;
};
struct F16 {
  static std::uint16_t pack(float value) { return to_f16(value).bits; }
  static float unpack(std::uint16_t bits) { return to_float(f16{bits}); }
  static constexpr int kMantissa = 10, kBias = 15;
};

// The value by the definition of the format, in f64.
template <class Format>
double value_of(std::uint16_t bits) {
  const int exponent = (bits & 0x7FFF) >> Format::kMantissa;
  const int fraction = bits & ((1 << Format::kMantissa) - 1);
  const int all_ones = (1 << (15 - Format::kMantissa)) - 1;
  if (exponent == all_ones && fraction != 0) return std::numeric_limits<double>::quiet_NaN();
  double magnitude = std::numeric_limits<double>::infinity();
  if (exponent == 0) {
    magnitude = std::ldexp(fraction, 1 - Format::kBias - Format::kMantissa);
  } else if (exponent != all_ones) {
    magnitude = std::ldexp(fraction + (1 << Format::kMantissa),
                           exponent - Format::kBias - Format::kMantissa);
  }
  return bits & 0x8000 ? -magnitude : magnitude;
}

template <class Format>
class HalfPrecision : public testing::Test {};
using Formats = testing::Types<Bf16, F16>;
TYPED_TEST_SUITE(HalfPrecision, Formats);

TYPED_TEST(HalfPrecision, EveryPatternMeansWhatTheFormatSays) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const double want = value_of<TypeParam>(bits);
    const float got = TypeParam::unpack(bits);
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(got)) << std::hex << i;
    } else {
      ASSERT_EQ(got, want) << std::hex << i;
      ASSERT_EQ(std::signbit(got), std::signbit(want)) << std::hex << i;
    }
  }
}

TYPED_TEST(HalfPrecision, EveryPatternSurvivesTheWayThroughFloat) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const std::uint16_t back = TypeParam::pack(TypeParam::unpack(bits));
    if (std::isnan(value_of<TypeParam>(bits))) {
      ASSERT_TRUE(std::isnan(value_of<TypeParam>(back))) << std::hex << i;
    } else {
      ASSERT_EQ(back, bits) << std::hex << i;
    }
  }
}

// Between neighbours a and b: the middle goes to the even one, a hair to either side to the nearer.
TYPED_TEST(HalfPrecision, RoundsToNearestEven) {
  const std::uint16_t infinity =
      static_cast<std::uint16_t>(0x7FFF << TypeParam::kMantissa & 0x7FFF);
  for (std::uint16_t sign : {0x0000, 0x8000}) {
    for (std::uint16_t bits = 0; bits < infinity; ++bits) {
      const auto low = static_cast<std::uint16_t>(sign | bits);
      const auto high = static_cast<std::uint16_t>(sign | (bits + 1));
      // Beyond the largest number, infinity stands where the next number would.
      const double a = value_of<TypeParam>(low);
      const double b = bits + 1 == infinity
                           ? 2 * a - value_of<TypeParam>(static_cast<std::uint16_t>(low - 1))
                           : value_of<TypeParam>(high);
      const double middle = (a + b) / 2;
      const auto exact = static_cast<float>(middle);
      ASSERT_EQ(exact, middle) << std::hex << low;
      ASSERT_EQ(TypeParam::pack(exact), bits % 2 == 0 ? low : high) << std::hex << low;
      const float away = exact < 0 ? -std::numeric_limits<float>::infinity()
                                   : std::numeric_limits<float>::infinity();
      ASSERT_EQ(TypeParam::pack(std::nextafter(exact, 0.0f)), low) << std::hex << low;
      ASSERT_EQ(TypeParam::pack(std::nextafter(exact, away)), high) << std::hex << low;
    }
  }
}

TYPED_TEST(HalfPrecision, EndsOfFloat) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float largest = std::numeric_limits<float>::max();
  EXPECT_EQ(TypeParam::unpack(TypeParam::pack(infinity)), infinity);
  EXPECT_EQ(TypeParam::unpack(TypeParam::pack(-infinity)), -infinity);
  EXPECT_EQ(TypeParam::unpack(TypeParam::pack(largest)), infinity);
  EXPECT_EQ(TypeParam::unpack(TypeParam::pack(-largest)), -infinity);
  // NaN of every fraction, the lowest bit alone included, which a plain shift would lose.
  for (std::uint32_t fraction : {1u, 0x1000u, 0x2000u, 0xFFFFu, 0x10000u, 0x400000u, 0x7FFFFFu}) {
    for (std::uint32_t sign : {0u, 0x80000000u}) {
      const float nan = std::bit_cast<float>(sign | 0x7F800000u | fraction);
      EXPECT_TRUE(std::isnan(TypeParam::unpack(TypeParam::pack(nan)))) << std::hex << fraction;
    }
  }
}

TEST(DTypeNames, GoBothWays) {
  for (DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::f16, DType::u8, DType::i32, DType::i64})
    EXPECT_EQ(dtype_from_name(name_of(dtype)), dtype);
  EXPECT_THROW(dtype_from_name("float"), Error);
}

}  // namespace
}  // namespace lamina::test
