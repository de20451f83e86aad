// Which way up a photograph is: the Orientation tag of EXIF, and pictures turned by it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "engine/data/contact_sheet.h"

namespace lamina {

// 1 to 8, of the content of a JPEG's APP1 marker ("Exif", two zeros, a TIFF header); 1, which means
// upright, where there is no such tag or it cannot be understood.
int exif_orientation(std::span<const std::uint8_t> marker);

// The picture as it is meant to be seen.
Picture upright(Picture picture, int orientation);

}  // namespace lamina
