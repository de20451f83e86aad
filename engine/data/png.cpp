// SPDX-License-Identifier: Apache-2.0
#include "engine/data/png.h"

#include <png.h>

#include "engine/core/error.h"

namespace lamina {

std::string encode_png(const Picture& picture) {
  // libpng's simplified interface: the classic one reports errors by longjmp, past destructors.
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.w);
  image.height = static_cast<png_uint_32>(picture.h);
  image.format = picture.c == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t length = 0;
  const auto write = [&](void* memory) {
    if (!png_image_write_to_memory(&image, memory, &length, 0, picture.pixels.data(), 0, nullptr))
      throw Error(ErrorKind::failure,
                  fmt::format("a picture of {}x{} pixels cannot be written as PNG ({}); show fewer "
                              "images at once.",
                              picture.w,
                              picture.h,
                              image.message),
                  {"", "", 0, "libpng", static_cast<int>(image.warning_or_error), image.message});
  };
  write(nullptr);
  std::string bytes(length, '\0');
  write(bytes.data());
  bytes.resize(length);
  return bytes;
}

}  // namespace lamina
