// Numbers for the kernel tests: all from Philox, so a case is the same wherever and whenever it
// runs. LAMINA_TEST_SEED changes the seed of everything (1 when it is not set).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/philox.h"
#include "engine/core/shape.h"

namespace lamina::suite {

using Values = std::vector<double>;

std::uint64_t test_seed();

// The stream of everything random in the case of this name.
std::uint32_t stream_of(std::string_view name);

// "7x28x28x6": N, H, W and C, as the names of cases have it.
std::string dims_of(const Shape& shape);

// Makes the values of one case's tensors, each tensor from its own part of the case's stream.
class Draw {
 public:
  explicit Draw(std::string_view case_name) : seed_(test_seed()), stream_(stream_of(case_name)) {}

  // Close to N(mean, deviation), rounded to f32 so that every dtype of a run starts from the same.
  Values normal(const Shape& shape, double mean = 0, double deviation = 1);
  Values uniform(const Shape& shape, double low, double high);
  // Whole numbers in [low, high]: sums and products of few of them are exact in f32.
  Values whole(const Shape& shape, std::int64_t low = -3, std::int64_t high = 3);
  // One whole number in [low, high].
  std::int64_t roll(std::int64_t low, std::int64_t high);
  // 0, 1, ..., count - 1, shuffled.
  Values permutation(std::int64_t count);

 private:
  double next();  // uniform in [0, 1)

  std::uint64_t seed_;
  std::uint32_t stream_;
  std::uint64_t element_ = 0;
  Philox4 block_ = {};  // of the element
};

// More elements than the blocks of a launch have threads, and more rows of 129 channels than they
// take at a time: see kernels/cuda/language.h and channel_rows.h.
inline constexpr std::int64_t kMoreThanAGrid = 16 * 132 * 256 + 329;
inline constexpr Shape kMoreRowsThanAGrid{2, 25, 43, 129};

Values absolute(Values values);

// To the nearest number of a floating dtype, ties to even.
double rounded(DType dtype, double value);
Values rounded(DType dtype, Values values);

// The number nearest to `want` that a kernel may have stored as `got`: bf16 and f16 only.
double before_store(DType dtype, double got, double want);

}  // namespace lamina::suite
