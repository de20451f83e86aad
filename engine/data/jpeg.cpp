// JPEG by libjpeg. Its errors come by longjmp, past destructors: so every function that calls it is
// a method of JpegReader, which has nothing to destroy between its setjmp and libjpeg.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>

#include <jerror.h>

#include "engine/core/error.h"
#include "engine/data/exif.h"
#include "engine/data/image_file.h"

namespace lamina {
namespace {

struct ErrorManager {
  jpeg_error_mgr base{};  // first, so that libjpeg's pointer to it is one to this
  std::jmp_buf back{};
  char text[JMSG_LENGTH_MAX] = "";
  bool cut_short = false;
};

ErrorManager& manager_of(j_common_ptr info) { return *reinterpret_cast<ErrorManager*>(info->err); }

void on_error(j_common_ptr info) {
  ErrorManager& manager = manager_of(info);
  manager.base.format_message(info, manager.text);
  std::longjmp(manager.back, 1);
}

// Most warnings are of things that the picture does not suffer from. Missing data is filled with
// grey.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER) manager_of(info).cut_short = true;
}

// A small file of very many scans, each over all of a large picture, would take hours.
void on_progress(j_common_ptr info) {
  constexpr int kMostScans = 500;
  if (!info->is_decompressor ||
      reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans)
    return;
  ErrorManager& manager = manager_of(info);
  std::snprintf(manager.text, sizeof manager.text, "it has more than %d scans", kMostScans);
  std::longjmp(manager.back, 1);
}

class JpegReader {
 public:
  JpegReader() {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = &on_error;
    errors_.base.emit_message = &on_message;
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  // False with problem() set when it fails, like all of these.
  bool read_header(std::span<const std::uint8_t> bytes) {
    if (setjmp(errors_.back) != 0) return false;
    jpeg_create_decompress(&info_);
    progress_.progress_monitor = &on_progress;
    info_.progress = &progress_;
    jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xffff);
    jpeg_mem_src(&info_, bytes.data(), static_cast<unsigned long>(bytes.size()));
    jpeg_read_header(&info_, TRUE);
    return true;
  }

  bool start(std::int64_t least_side) {
    if (setjmp(errors_.back) != 0) return false;
    const bool inks = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    info_.out_color_space = inks ? JCS_CMYK : JCS_RGB;
    info_.scale_num = 1;
    const std::int64_t side = std::min(info_.image_height, info_.image_width);
    for (unsigned denominator : {8u, 4u, 2u, 1u}) {
      info_.scale_denom = denominator;
      if (least_side > 0 && side / denominator >= least_side) break;
    }
    jpeg_start_decompress(&info_);
    return true;
  }

  bool read_rows(std::uint8_t* out) {
    if (setjmp(errors_.back) != 0) return false;
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = out + std::size_t{info_.output_scanline} * info_.output_width *
                               static_cast<unsigned>(info_.output_components);
      jpeg_read_scanlines(&info_, &row, 1);
    }
    return true;
  }

  const char* problem() const { return errors_.text; }
  bool cut_short() const { return errors_.cut_short; }
  const jpeg_decompress_struct& info() const { return info_; }

 private:
  ErrorManager errors_;
  jpeg_progress_mgr progress_{};
  jpeg_decompress_struct info_{};
};

int orientation(const jpeg_decompress_struct& info) {
  for (jpeg_saved_marker_ptr marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const int found = exif_orientation({marker->data, marker->data_length});
    if (found != 1) return found;
  }
  return 1;
}

// Inks to light. Adobe's programs, which make most of these files, store the inks inverted.
Picture rgb_of_cmyk(const Picture& inks, bool inverted) {
  Picture picture{inks.h, inks.w, 3, {}};
  picture.pixels.reserve(static_cast<std::size_t>(inks.h * inks.w * 3));
  for (std::size_t i = 0; i < inks.pixels.size(); i += 4) {
    const auto light = [&](std::size_t c) {
      const unsigned value = inks.pixels[i + c];
      return inverted ? value : 255u - value;
    };
    for (std::size_t c = 0; c < 3; ++c)
      picture.pixels.push_back(static_cast<std::uint8_t>((light(c) * light(3) + 127) / 255));
  }
  return picture;
}

}  // namespace

Picture decode_jpeg(const std::string& file,
                    std::span<const std::uint8_t> bytes,
                    std::int64_t least_side) {
  JpegReader reader;
  if (!reader.read_header(bytes)) fail_image(file, reader.problem());
  const jpeg_decompress_struct& info = reader.info();
  if (std::int64_t{info.image_height} * info.image_width > kMostPixels)
    fail_image(file, fmt::format("it has {} x {} pixels", info.image_height, info.image_width));
  if (!reader.start(least_side)) fail_image(file, reader.problem());
  Picture picture{info.output_height, info.output_width, info.output_components, {}};
  picture.pixels.resize(static_cast<std::size_t>(picture.h * picture.w * picture.c));
  if (!reader.read_rows(picture.pixels.data())) fail_image(file, reader.problem());
  if (reader.cut_short()) fail_image(file, "it is cut short, or a part of it is missing");
  if (picture.c == 4) picture = rgb_of_cmyk(picture, info.saw_Adobe_marker != FALSE);
  return upright(std::move(picture), orientation(info));
}

}  // namespace lamina
