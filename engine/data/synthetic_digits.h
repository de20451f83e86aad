// Digits that need no file: drawn from our own pen strokes, for tests and for machines without
// data.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/data/dataset.h"

namespace lamina {

// 28 x 28 grey images, 10000 to train and 2000 to test; `limit` > 0 draws the first of them only.
// Sample i is a pure function of (seed, part, i), the same on every machine. Ten samples in a row,
// from a multiple of ten on, hold every digit once.
Dataset make_synthetic_digits(Part part, std::uint64_t seed, std::int64_t limit = 0);

}  // namespace lamina
