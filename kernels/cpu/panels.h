// A matrix cut into panels of columns, each [rows][width] and one behind the other, for products
// that read it column by column: rows far apart by a power of two would share few cache sets.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "kernels/cpu/vec.h"

namespace lamina::cpu {

// Columns of the right factor of a product: as many vectors as a block of gemm.h has.
inline constexpr std::int64_t kPanel = (kRegisters < 32 ? 2 : 4) * kLanes;
// Columns of a transposed left factor: a few times the rows of such a block.
inline constexpr std::int64_t kLeftPanel = kRegisters < 32 ? 24 : 48;

// [rows][columns] in panels of kWidth columns, the last perhaps narrower.
template <std::int64_t kWidth>
struct Panels {
  std::int64_t rows, columns;

  // Of the panel that has column c; also the distance of its rows.
  std::int64_t width(std::int64_t c) const {
    return std::min(kWidth, columns - c / kWidth * kWidth);
  }
  std::int64_t offset(std::int64_t row, std::int64_t c) const {
    const std::int64_t first = c / kWidth * kWidth;
    return first * rows + row * width(c) + c - first;
  }
};

}  // namespace lamina::cpu
