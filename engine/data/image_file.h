// Photographs out of JPEG and PNG files, as upright RGB pictures.
//
// The bytes decide which of the two a file is, not its name. JPEG: grey, YCbCr, CMYK and YCCK,
// turned as its EXIF says. PNG: grey, palette, 16 bits, interlaced; transparent pixels lie on
// black; where a gAMA chunk says that its colours are not sRGB's, they are made so. A file that is
// cut short or damaged is a failure that names it; what libjpeg can read over (bytes between
// markers) is none.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/data/contact_sheet.h"

namespace lamina {

// The most pixels a file may have: no camera's, but a header's that lies.
inline constexpr std::int64_t kMostPixels = std::int64_t{1} << 27;

// `file` is the name for messages. JPEG is read at 1/2, 1/4 or 1/8 of its size where no side gets
// shorter than `least_side` by that, which saves most of the work; 0 reads all of it.
Picture decode_image(const std::string& file,
                     std::span<const std::uint8_t> bytes,
                     std::int64_t least_side = 0);

// For the above.
Picture decode_jpeg(const std::string& file,
                    std::span<const std::uint8_t> bytes,
                    std::int64_t least_side);
Picture decode_png(const std::string& file, std::span<const std::uint8_t> bytes);

// Throws "'FILE' is no usable image: REASON; ...".
[[noreturn]] void fail_image(const std::string& file, const std::string& reason);

}  // namespace lamina
