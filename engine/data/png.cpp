// SPDX-License-Identifier: Apache-2.0
#include "engine/data/png.h"

#include <png.h>

#include "engine/core/error.h"
#include "engine/data/image_file.h"

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

Picture decode_png(const std::string& file, std::span<const std::uint8_t> bytes) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  struct Free {
    png_image* image;
    ~Free() { png_image_free(image); }
  } free{&image};
  if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()))
    fail_image(file, image.message);
  if (std::int64_t{image.height} * image.width > kMostPixels)
    fail_image(file, fmt::format("it has {} x {} pixels", image.height, image.width));
  // libpng would take samples of 16 bits for linear light; programs write them like those of 8.
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  image.format = PNG_FORMAT_RGBA;
  std::vector<std::uint8_t> rgba(PNG_IMAGE_SIZE(image));
  if (!png_image_finish_read(&image, nullptr, rgba.data(), 0, nullptr))
    fail_image(file, image.message);
  Picture picture{image.height, image.width, 3, {}};
  picture.pixels.reserve(rgba.size() / 4 * 3);
  for (std::size_t i = 0; i < rgba.size(); i += 4) {
    for (std::size_t c = 0; c < 3; ++c)
      picture.pixels.push_back(static_cast<std::uint8_t>((rgba[i + c] * rgba[i + 3] + 127) / 255));
  }
  return picture;
}

}  // namespace lamina
