// Pictures made into squares: how every image of a folder is stored.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "engine/data/contact_sheet.h"

namespace lamina {

// Resizes the picture until its shorter side is `side`, and writes the square in its middle,
// [side,side,c], to `out`. Bilinear, and where pixels get fewer each is the mean of all that it
// stands for, weighted by a tent: what torchvision's Resize(side) and CenterCrop(side) do. Integers
// only, so the bytes are the same on every machine.
void resize_to_square(const Picture& picture, std::int64_t side, std::span<std::uint8_t> out);

}  // namespace lamina
