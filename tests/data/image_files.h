// JPEG and PNG files for the tests, written by libjpeg and libpng.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "engine/data/contact_sheet.h"

namespace lamina {

// A picture that is smooth, so that JPEG hardly changes it, and the same from no two sides: red
// grows to the right, green downwards, and blue is a bright spot near one corner.
Picture sample_picture(std::int64_t h, std::int64_t w);

enum class JpegKind { rgb, grey, cmyk, ycck, progressive };

// Of an RGB picture. With an orientation, an EXIF marker says so, in either byte order.
std::string jpeg_file(const Picture& picture,
                      JpegKind kind = JpegKind::rgb,
                      int orientation = 0,
                      bool big_endian = true);
// The content of that marker.
std::string exif_marker(int orientation, bool big_endian = true);

enum class PngKind {
  rgb,
  grey,
  grey_alpha,
  palette,
  palette_alpha,
  rgba,
  rgb16,
  grey16,
  interlaced
};

// Of an RGB picture; the grey kinds keep its red. A palette takes pictures of at most 256 colours.
// Of the alpha kinds, the left half is transparent; the palette's, the first colour.
std::string png_file(const Picture& picture, PngKind kind = PngKind::rgb);

}  // namespace lamina
