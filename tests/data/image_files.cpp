// SPDX-License-Identifier: Apache-2.0
#include "tests/data/image_files.h"

#include <png.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <vector>

#include <jpeglib.h>

namespace lamina {

Picture sample_picture(std::int64_t h, std::int64_t w) {
  Picture picture{h, w, 3, {}};
  for (std::int64_t y = 0; y < h; ++y) {
    for (std::int64_t x = 0; x < w; ++x) {
      const std::int64_t far = std::max(x * 100 / w, y * 100 / h);
      picture.pixels.push_back(static_cast<std::uint8_t>(20 + 200 * x / w));
      picture.pixels.push_back(static_cast<std::uint8_t>(20 + 200 * y / h));
      picture.pixels.push_back(static_cast<std::uint8_t>(std::max<std::int64_t>(230 - 3 * far, 0)));
    }
  }
  return picture;
}

std::string exif_marker(int orientation, bool big_endian) {
  using namespace std::string_literals;
  const std::string value(1, static_cast<char>(orientation));
  // Two entries: the width of the picture, and the orientation.
  if (big_endian)
    return "Exif\0\0MM\0\x2a\0\0\0\x08\0\x02"s + "\x01\0\0\x03\0\0\0\x01\0\x20\0\0"s +
           "\x01\x12\0\x03\0\0\0\x01\0"s + value + "\0\0\0\0\0\0"s;
  return "Exif\0\0II\x2a\0\x08\0\0\0\x02\0"s + "\0\x01\x03\0\x01\0\0\0\x20\0\0\0"s +
         "\x12\x01\x03\0\x01\0\0\0"s + value + "\0\0\0\0\0\0\0"s;
}

std::string jpeg_file(const Picture& picture, JpegKind kind, int orientation, bool big_endian) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long length = 0;
  jpeg_mem_dest(&info, &memory, &length);
  const bool inks = kind == JpegKind::cmyk || kind == JpegKind::ycck;
  info.image_height = static_cast<JDIMENSION>(picture.h);
  info.image_width = static_cast<JDIMENSION>(picture.w);
  info.input_components = inks ? 4 : 3;
  info.in_color_space = inks ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&info);
  if (kind == JpegKind::grey) jpeg_set_colorspace(&info, JCS_GRAYSCALE);
  if (inks) jpeg_set_colorspace(&info, kind == JpegKind::cmyk ? JCS_CMYK : JCS_YCCK);
  jpeg_set_quality(&info, 98, TRUE);
  if (kind == JpegKind::progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  if (orientation != 0) {
    const std::string marker = exif_marker(orientation, big_endian);
    jpeg_write_marker(&info,
                      JPEG_APP0 + 1,
                      reinterpret_cast<const JOCTET*>(marker.data()),
                      static_cast<unsigned>(marker.size()));
  }
  std::vector<std::uint8_t> row;
  for (std::int64_t y = 0; y < picture.h; ++y) {
    row.clear();
    for (std::int64_t x = 0; x < picture.w; ++x) {
      const std::uint8_t* pixel = picture.pixels.data() + (y * picture.w + x) * 3;
      // libjpeg marks these files as Adobe's, which store light, not ink.
      row.insert(row.end(), pixel, pixel + 3);
      if (inks) row.push_back(255);
    }
    JSAMPROW rows = row.data();
    jpeg_write_scanlines(&info, &rows, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string bytes(reinterpret_cast<char*>(memory), length);
  std::free(memory);
  return bytes;
}

std::string png_file(const Picture& picture, PngKind kind) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  std::string bytes;
  png_set_write_fn(
      png,
      &bytes,
      [](png_structp to, png_bytep data, std::size_t length) {
        static_cast<std::string*>(png_get_io_ptr(to))
            ->append(reinterpret_cast<char*>(data), length);
      },
      nullptr);
  const bool palette = kind == PngKind::palette || kind == PngKind::palette_alpha;
  const bool grey = kind == PngKind::grey || kind == PngKind::grey_alpha || kind == PngKind::grey16;
  const bool alpha = kind == PngKind::grey_alpha || kind == PngKind::rgba;
  const bool deep = kind == PngKind::rgb16 || kind == PngKind::grey16;
  const int type = palette ? PNG_COLOR_TYPE_PALETTE
                           : (grey ? 0 : PNG_COLOR_MASK_COLOR) | (alpha ? PNG_COLOR_MASK_ALPHA : 0);
  png_set_IHDR(png,
               info,
               static_cast<png_uint_32>(picture.w),
               static_cast<png_uint_32>(picture.h),
               deep ? 16 : 8,
               type,
               kind == PngKind::interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  std::map<std::array<std::uint8_t, 3>, std::uint8_t> colours;
  std::vector<std::string> rows;
  for (std::int64_t y = 0; y < picture.h; ++y) {
    std::string row;
    for (std::int64_t x = 0; x < picture.w; ++x) {
      const std::uint8_t* pixel = picture.pixels.data() + (y * picture.w + x) * 3;
      if (palette) {
        const auto [at, fresh] = colours.try_emplace({pixel[0], pixel[1], pixel[2]},
                                                     static_cast<std::uint8_t>(colours.size()));
        row += static_cast<char>(at->second);
        continue;
      }
      for (int c = 0; c < (grey ? 1 : 3); ++c) {
        row += static_cast<char>(pixel[c]);
        if (deep) row += static_cast<char>(pixel[c]);
      }
      if (alpha) row += static_cast<char>(x < picture.w / 2 ? 0 : 255);
    }
    rows.push_back(row);
  }
  if (palette) {
    if (colours.size() > 256) throw std::runtime_error("too many colours for a palette");
    std::vector<png_color> entries(colours.size());
    for (const auto& [colour, at] : colours) entries[at] = {colour[0], colour[1], colour[2]};
    png_set_PLTE(png, info, entries.data(), static_cast<int>(entries.size()));
    png_byte first = 0;
    if (kind == PngKind::palette_alpha) png_set_tRNS(png, info, &first, 1, nullptr);
  }
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  for (std::string& row : rows) pointers.push_back(reinterpret_cast<png_bytep>(row.data()));
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

}  // namespace lamina
