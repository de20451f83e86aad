// Reading JPEG and PNG files of every kind, and refusing what is none.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/image_file.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/data/exif.h"
#include "tests/data/image_files.h"
#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

std::span<const std::uint8_t> view(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

Picture decode(const std::string& bytes, std::int64_t least_side = 0) {
  return decode_image("photo", view(bytes), least_side);
}

const std::uint8_t* pixel(const Picture& picture, std::int64_t y, std::int64_t x) {
  return picture.pixels.data() + (y * picture.w + x) * picture.c;
}

// The largest difference of two samples; the shapes are the same.
int distance(const Picture& a, const Picture& b) {
  EXPECT_EQ(a.h, b.h);
  EXPECT_EQ(a.w, b.w);
  EXPECT_EQ(a.c, b.c);
  if (a.pixels.size() != b.pixels.size()) return 256;
  int most = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    most = std::max(most, std::abs(a.pixels[i] - b.pixels[i]));
  return most;
}

std::string failure(const std::string& bytes) {
  const std::string text = failure_of([&] { decode(bytes); });
  expect_contains(text, "'photo' is no usable image: ");
  expect_contains(text, "; replace or remove it, or allow bad files with --skip-bad N.");
  return text;
}

// --- JPEG ----------------------------------------------------------------------------------------

TEST(Jpeg, ReadsEveryKind) {
  const Picture picture = sample_picture(40, 56);
  for (JpegKind kind : {JpegKind::rgb, JpegKind::progressive, JpegKind::cmyk, JpegKind::ycck})
    EXPECT_LE(distance(decode(jpeg_file(picture, kind)), picture), 12) << static_cast<int>(kind);
  const Picture grey = decode(jpeg_file(picture, JpegKind::grey));
  for (std::int64_t y = 0; y < 40; y += 3) {
    for (std::int64_t x = 0; x < 56; x += 3) {
      const std::uint8_t* is = pixel(picture, y, x);
      const double light = 0.299 * is[0] + 0.587 * is[1] + 0.114 * is[2];
      for (int c = 0; c < 3; ++c) EXPECT_NEAR(pixel(grey, y, x)[c], light, 6);
    }
  }
}

// Without Adobe's marker the inks are stored as they are: none of them is white.
TEST(Jpeg, ReadsInksThatAreNotInverted) {
  std::string bytes = jpeg_file(sample_picture(16, 16), JpegKind::cmyk);
  const std::size_t adobe = bytes.find("Adobe");
  ASSERT_NE(adobe, std::string::npos);
  bytes.erase(adobe - 4, 16);
  const Picture negative = decode(bytes);
  for (std::uint8_t sample : negative.pixels) EXPECT_EQ(sample, 0) << "black ink is everywhere";
}

TEST(Jpeg, IsTurnedAsItsExifSays) {
  const Picture seen = sample_picture(24, 36);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    // How such a camera stores what is seen, from the definition of the tag: which side of the
    // scene row 0 and column 0 of the file are.
    const bool turned = orientation >= 5;
    Picture stored{turned ? 36 : 24, turned ? 24 : 36, 3, {}};
    for (std::int64_t y = 0; y < stored.h; ++y) {
      for (std::int64_t x = 0; x < stored.w; ++x) {
        std::int64_t row = 0, column = 0;
        switch (orientation) {
          case 1:
            row = y, column = x;
            break;  // top, left
          case 2:
            row = y, column = 35 - x;
            break;  // top, right
          case 3:
            row = 23 - y, column = 35 - x;
            break;  // bottom, right
          case 4:
            row = 23 - y, column = x;
            break;  // bottom, left
          case 5:
            row = x, column = y;
            break;  // left, top
          case 6:
            row = x, column = 35 - y;
            break;  // right, top
          case 7:
            row = 23 - x, column = 35 - y;
            break;  // right, bottom
          default:
            row = 23 - x, column = y;
            break;  // left, bottom
        }
        const std::uint8_t* of = pixel(seen, row, column);
        stored.pixels.insert(stored.pixels.end(), of, of + 3);
      }
    }
    EXPECT_EQ(upright(stored, orientation).pixels, seen.pixels) << orientation;
    for (bool big_endian : {true, false})
      EXPECT_LE(distance(decode(jpeg_file(stored, JpegKind::rgb, orientation, big_endian)), seen),
                12)
          << orientation;
  }
}

TEST(Exif, UnderstandsOnlyWhatIsSound) {
  for (bool big_endian : {true, false}) {
    const std::string good = exif_marker(6, big_endian);
    EXPECT_EQ(exif_orientation(view(good)), 6);
    EXPECT_EQ(exif_orientation(view(exif_marker(0, big_endian))), 1);
    EXPECT_EQ(exif_orientation(view(exif_marker(9, big_endian))), 1);
    // Wherever it is cut and whatever is wrong, it is a number of 1 to 8.
    for (std::size_t length = 0; length < good.size(); ++length) {
      const int cut = exif_orientation(view(good.substr(0, length)));
      EXPECT_TRUE(cut == 1 || cut == 6) << length;
      for (int flip : {0x01, 0x80, 0xff}) {
        std::string bad = good;
        bad[length] = static_cast<char>(bad[length] ^ flip);
        const int found = exif_orientation(view(bad));
        EXPECT_TRUE(found >= 1 && found <= 8);
      }
    }
  }
  EXPECT_EQ(exif_orientation({}), 1);
}

TEST(Jpeg, IsReadSmallerWhereThatIsEnough) {
  const Picture picture = sample_picture(160, 240);
  const std::string bytes = jpeg_file(picture);
  const auto height = [&](std::int64_t least) { return decode(bytes, least).h; };
  EXPECT_EQ(height(0), 160);
  EXPECT_EQ(height(200), 160);
  EXPECT_EQ(height(81), 160);
  EXPECT_EQ(height(80), 80);
  EXPECT_EQ(height(40), 40);
  EXPECT_EQ(height(1), 20);
  EXPECT_LE(distance(decode(bytes, 80), sample_picture(80, 120)), 12);
}

TEST(Jpeg, RefusesWhatIsCutShort) {
  const std::string bytes = jpeg_file(sample_picture(64, 64));
  for (std::size_t length : {bytes.size() * 3 / 4, bytes.size() / 2})
    expect_contains(failure(bytes.substr(0, length)), "cut short");
  for (std::size_t length : {3u, 20u, 300u}) failure(bytes.substr(0, length));
  // What follows the picture is no harm.
  EXPECT_EQ(decode(bytes + "appended").h, 64);
}

TEST(Jpeg, RefusesSizesThatNoCameraHas) {
  std::string bytes = jpeg_file(sample_picture(16, 16));
  const std::size_t frame = bytes.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  bytes.replace(frame + 5, 4, "\xff\x00\xff\x00", 4);
  expect_contains(failure(bytes), "it has 65280 x 65280 pixels");
}

TEST(Jpeg, RefusesMoreScansThanAnyoneWrites) {
  const std::string bytes = jpeg_file(sample_picture(64, 64), JpegKind::progressive);
  // The first scan, again and again: it sets the same numbers each time.
  const std::size_t first = bytes.find("\xff\xda"), next = bytes.find("\xff\xc4", first);
  ASSERT_NE(next, std::string::npos);
  const auto with_scans = [&](int count) {
    std::string many = bytes.substr(0, first);
    for (int i = 0; i < count; ++i) many += bytes.substr(first, next - first);
    return many + bytes.substr(next);
  };
  EXPECT_EQ(decode(with_scans(100)).h, 64);
  expect_contains(failure(with_scans(1000)), "it has more than 500 scans");
}

// --- PNG -----------------------------------------------------------------------------------------

TEST(PngFile, ReadsEveryKind) {
  const Picture picture = sample_picture(12, 18);
  for (PngKind kind : {PngKind::rgb, PngKind::palette, PngKind::rgb16, PngKind::interlaced})
    EXPECT_EQ(distance(decode(png_file(picture, kind)), picture), 0) << static_cast<int>(kind);
  for (PngKind kind : {PngKind::grey, PngKind::grey16}) {
    const Picture grey = decode(png_file(picture, kind));
    for (std::size_t i = 0; i < grey.pixels.size(); ++i)
      EXPECT_EQ(grey.pixels[i], picture.pixels[i / 3 * 3]);
  }
}

TEST(PngFile, TransparentPixelsLieOnBlack) {
  const Picture picture = sample_picture(12, 18);
  for (PngKind kind : {PngKind::rgba, PngKind::grey_alpha}) {
    const Picture read = decode(png_file(picture, kind));
    for (std::int64_t x = 0; x < 18; ++x)
      EXPECT_EQ(pixel(read, 5, x)[0], x < 9 ? 0 : pixel(picture, 5, x)[0]) << x;
  }
  const Picture read = decode(png_file(picture, PngKind::palette_alpha));
  EXPECT_EQ(pixel(read, 0, 0)[0], 0);
  EXPECT_EQ(pixel(read, 11, 17)[0], pixel(picture, 11, 17)[0]);
}

TEST(PngFile, RefusesWhatIsDamaged) {
  const std::string bytes = png_file(sample_picture(64, 64));
  for (std::size_t length : {9u, 40u, static_cast<unsigned>(bytes.size() / 2)})
    failure(bytes.substr(0, length));
  std::string wrong = bytes;
  wrong[bytes.size() / 2] = static_cast<char>(wrong[bytes.size() / 2] ^ 0x40);
  failure(wrong);
}

// --- Neither -------------------------------------------------------------------------------------

TEST(ImageFile, TheBytesDecideAndNotTheName) {
  expect_contains(failure(""), "it holds no bytes");
  expect_contains(failure("GIF89a"), "it is neither JPEG nor PNG");
  expect_contains(failure("\xff"), "it is neither JPEG nor PNG");
}

// Bytes changed here and there: a picture comes of it, or a failure that names the file.
TEST(ImageFile, HostileFilesAreReadOrRefused) {
  const Picture picture = sample_picture(12, 18);
  int refused = 0, read = 0;
  for (const std::string& good : {jpeg_file(picture, JpegKind::rgb, 6),
                                  jpeg_file(picture, JpegKind::progressive),
                                  jpeg_file(picture, JpegKind::ycck),
                                  png_file(picture, PngKind::interlaced),
                                  png_file(picture, PngKind::palette_alpha),
                                  png_file(picture, PngKind::rgb16)}) {
    for (std::size_t at = 0; at < good.size(); at += 3) {
      for (int flip : {0x01, 0x10, 0xff}) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ flip);
        try {
          const Picture some = decode(bad, 8);
          EXPECT_EQ(some.c, 3);
          EXPECT_EQ(std::ssize(some.pixels), some.h * some.w * 3);
          ++read;
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::failure) << error.what();
          ++refused;
        }
      }
    }
  }
  EXPECT_GT(refused, 300);
  EXPECT_GT(read, 300);
}

}  // namespace
}  // namespace lamina
