// IDX files, good and bad. Every bad one is named, with what was found and the mend.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/idx.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <cstring>

#include "tests/data/support.h"

namespace lamina {
namespace {

const std::string kPixels = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, static_cast<char>(255)};
const std::string kImages = idx_images(2, 2, 3, kPixels);
constexpr const char* kMend = "replace it by a good copy.";

class Idx : public testing::Test {
 protected:
  // The sentence about a bad file: it names the file and ends with the mend.
  std::string image_error(const std::string& bytes) {
    put(folder / "images", bytes);
    const std::string text = failure_of([&] { read_idx_images(folder / "images"); });
    expect_contains(text, "'" + (folder / "images").string() + "'");
    EXPECT_TRUE(text.ends_with(kMend)) << text;
    return text;
  }
  std::string label_error(const std::string& bytes, std::int64_t classes = 0) {
    put(folder / "labels", bytes);
    const std::string text = failure_of([&] { read_idx_labels(folder / "labels", classes); });
    expect_contains(text, "'" + (folder / "labels").string() + "'");
    EXPECT_TRUE(text.ends_with(kMend)) << text;
    return text;
  }

  TempFolder folder;
};

TEST_F(Idx, ReadsPlainAndGzipAlike) {
  for (const std::string& bytes : {kImages, gzip(kImages)}) {
    put(folder / "images", bytes);
    const IdxImages images = read_idx_images(folder / "images");
    EXPECT_EQ(images.count, 2);
    EXPECT_EQ(images.h, 2);
    EXPECT_EQ(images.w, 3);
    EXPECT_EQ(std::string(images.pixels.begin(), images.pixels.end()), kPixels);
  }
  for (const std::string& bytes : {idx_labels({3, 0, 255}), gzip(idx_labels({3, 0, 255}))}) {
    put(folder / "labels", bytes);
    EXPECT_EQ(read_idx_labels(folder / "labels"), (std::vector<std::int32_t>{3, 0, 255}));
  }
}

TEST_F(Idx, ReadsAFileLargerThanItsBuffers) {
  std::string pixels;
  for (int i = 0; i < 18'000'000; ++i) pixels += static_cast<char>(i ^ (i >> 9));
  put(folder / "images", gzip(idx_images(18'000, 40, 25, pixels)));
  const IdxImages images = read_idx_images(folder / "images");
  EXPECT_EQ(images.count, 18'000);
  ASSERT_EQ(images.pixels.size(), pixels.size());
  EXPECT_EQ(std::memcmp(images.pixels.data(), pixels.data(), pixels.size()), 0);
}

TEST_F(Idx, TakesSeveralGzipMembersAsOneStream) {
  put(folder / "images", gzip(kImages.substr(0, 9)) + gzip(kImages.substr(9)));
  EXPECT_EQ(read_idx_images(folder / "images").count, 2);
}

TEST_F(Idx, RefusesEveryTruncationOfAPlainFile) {
  for (std::size_t length = 1; length < kImages.size(); ++length)
    expect_contains(image_error(kImages.substr(0, length)), length < 4 ? "header" : "cut short");
  expect_contains(image_error(""), "holds no bytes");
}

TEST_F(Idx, RefusesEveryTruncationOfAGzipFile) {
  const std::string packed = gzip(kImages);
  for (std::size_t length = 2; length < packed.size(); ++length)
    expect_contains(image_error(packed.substr(0, length)), "cut short");
}

TEST_F(Idx, RefusesBytesBehindTheEnd) {
  expect_contains(image_error(kImages + '\0'), "is too long");
  expect_contains(image_error(gzip(kImages + '\0')), "is too long");
  expect_contains(image_error(gzip(kImages) + "x"), "behind the end of its gzip stream");
  expect_contains(label_error(idx_labels(2, "abc")), "is too long");
}

TEST_F(Idx, RefusesADamagedGzipFile) {
  const std::string packed = gzip(kImages);
  for (std::size_t i : {std::size_t{3}, std::size_t{12}, packed.size() - 8, packed.size() - 1}) {
    std::string damaged = packed;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x55);
    image_error(damaged);
  }
  std::string wrong_sum = packed;
  wrong_sum[packed.size() - 8] = static_cast<char>(wrong_sum[packed.size() - 8] ^ 1);
  expect_contains(image_error(wrong_sum), "incorrect data check");
}

TEST_F(Idx, ExplainsAWrongMagicNumber) {
  expect_contains(image_error(idx_labels({1, 2, 3})), "0x00000801, a label file");
  expect_contains(label_error(kImages), "0x00000803, an image file");
  expect_contains(image_error(std::string({3, 8, 0, 0}) + kImages.substr(4)), "little-endian");
  expect_contains(image_error(std::string({0, 0, 13, 3}) + kImages.substr(4)), "element type");
  expect_contains(image_error(std::string({0, 0, 8, 4}) + kImages.substr(4)), "dimensions");
  expect_contains(image_error("<!DOCTYPE html><html>not found</html>"), "web page");
  expect_contains(image_error(gzip("<!DOCTYPE html><html></html>")), "web page");
  expect_contains(image_error("some other file, not of ours"), "not IDX");
  expect_contains(image_error(kImages.substr(1)), "where an image file begins with 0x00000803");
}

TEST_F(Idx, RefusesAnEmptySet) {
  expect_contains(image_error(idx_images(0, 28, 28, "")), "empty data set");
  expect_contains(label_error(idx_labels(0, "")), "empty data set");
  expect_contains(image_error(idx_images(2, 0, 28, "")), "0 x 28 pixels");
  expect_contains(image_error(idx_images(2, 28, 0, "")), "28 x 0 pixels");
}

TEST_F(Idx, RefusesALabelOutOfRange) {
  const std::string text = label_error(idx_labels({0, 9, 10, 3}), 10);
  expect_contains(text, "label 10 at sample 2");
  expect_contains(text, "0 to 9");
  put(folder / "labels", idx_labels({0, 9}));
  EXPECT_EQ(read_idx_labels(folder / "labels", 10).size(), 2u);
}

// Peak memory of this process, in bytes.
std::int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

TEST_F(Idx, TakesNoMemoryOnAHeadersWord) {
  constexpr std::uint32_t kMost = 0xFFFFFFFF;
  const std::int64_t before = peak_memory();
  // A product that fits, one that wraps around to something small, and the largest of all.
  for (const auto& [count, h, w] : {std::array{1'000'000u, 100u, 100u},
                                    std::array{0x80000000u, 0x80000000u, 4u},
                                    std::array{0x40000000u, 0x40000000u, 16u},
                                    std::array{kMost, kMost, kMost}}) {
    expect_contains(image_error(idx_images(count, h, w, kPixels)), "cannot hold");
    expect_contains(image_error(gzip(idx_images(count, h, w, kPixels))), "cannot hold");
  }
  expect_contains(label_error(idx_labels(kMost, "abc")), "cannot hold");
  // Within what deflate could make of the file at its best, so only the missing bytes tell.
  std::string noise;
  for (unsigned i = 0, x = 1; i < 1'000'000; ++i)
    noise += static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  expect_contains(image_error(gzip(idx_images(900'000, 100, 10, noise))),
                  "1000000 of 900000000 bytes are there");
  EXPECT_LT(peak_memory() - before, std::int64_t{100} << 20);
}

TEST_F(Idx, NamesAFileThatCannotBeRead) {
  const std::string missing = failure_of([&] { read_idx_images(folder / "none"); });
  expect_contains(missing, "'" + (folder / "none").string() + "'");
  expect_contains(missing, "No such file");
  expect_contains(missing, "check the path");
  std::filesystem::create_directory(folder / "sub");
  expect_contains(failure_of([&] { read_idx_images(folder / "sub"); }), "not a regular file");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_contains(failure_of([&] { read_idx_images(folder / "pipe"); }), "not a regular file");
  expect_contains(failure_of([&] { read_idx_images("/dev/zero"); }), "not a regular file");
}

TEST_F(Idx, EndsWithTheMendOfItsCaller) {
  put(folder / "images", kImages.substr(0, 20));
  expect_contains(failure_of([&] { read_idx_images(folder / "images", "run the mender"); }),
                  "; run the mender.");
}

}  // namespace
}  // namespace lamina
