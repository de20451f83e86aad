// Folders of photographs: what belongs to them, bad files, and the cache.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/image_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <numeric>

#include "engine/data/device_dataset.h"
#include "engine/data/image_packing.h"
#include "tests/data/photo_folder.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

class ImageFolder : public PhotoFolder {
 protected:
  ImageFolder() : PhotoFolder(8) {}

  void SetUp() override {
    for (const char* name : {"val/cat", "val/dog"}) fs::create_directories(folder / name);
    put(cats / "a.jpg", jpeg_file(plain(10)));
    put(cats / "b.JPEG", jpeg_file(plain(20)));
    put(cats / "c.png", png_file(plain(30)));
    put(dogs / "z.Png", png_file(plain(40)));
    put(folder / "val" / "dog" / "x.png", png_file(plain(50)));
  }
  static Picture plain(int value) {
    return {12, 16, 3, std::vector<std::uint8_t>(576, static_cast<std::uint8_t>(value))};
  }
  Dataset load(Part part = Part::train) const { return load_dataset(folder.string(), part, opts); }
  // The first sample of each image.
  static std::vector<int> values(const Dataset& data) {
    std::vector<int> found;
    for (std::int64_t i = 0; i < data.count; ++i)
      found.push_back(data.images[static_cast<std::size_t>(i * data.h * data.w * 3)]);
    return found;
  }
  std::string failure(Part part = Part::train) const {
    return failure_of([&] { load(part); });
  }
};

// --- What belongs to it --------------------------------------------------------------------------

TEST_F(ImageFolder, TakesOneImageOfEachClassInTurn) {
  put(cats / "notes.txt", "no image");
  put(cats / ".hidden.jpg", "no image");
  put(folder / "train" / "readme.md", "no class");
  fs::create_directory(cats / "deeper.jpg");
  const Dataset train = load();
  EXPECT_EQ(train.class_names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(train.labels, (std::vector<std::int32_t>{0, 1, 0, 0}));
  EXPECT_EQ(values(train), (std::vector<int>{10, 40, 20, 30}));
  EXPECT_EQ(train.h, 8);
  EXPECT_EQ(train.w, 8);
  EXPECT_EQ(train.c, 3);
  EXPECT_EQ(train.images.size(), 4u * 8 * 8 * 3);
  EXPECT_EQ(train.mean, (std::vector<float>{0.485f, 0.456f, 0.406f}));
  EXPECT_EQ(train.name, folder.string());
  const Dataset test = load(Part::test);
  EXPECT_EQ(test.labels, std::vector<std::int32_t>{1});
  EXPECT_EQ(test.classes, 2);
  EXPECT_EQ(test.origin, (folder / "val").string());
}

TEST_F(ImageFolder, StandardConstantsAreThoseOfImageNet) {
  const PrepareOpts opts_of = parse_normalize("standard", load());
  EXPECT_EQ(opts_of.mean[0], 0.485f);
  EXPECT_EQ(opts_of.stddev[2], 0.225f);
  put_small_set(home / "digits");
  const Dataset digits = load_dataset((home / "digits").string(), Part::train);
  expect_contains(request_error_of([&] { parse_normalize("standard", digits); }),
                  "no published mean and deviation");
}

TEST_F(ImageFolder, ALimitTakesTheFirstOfThatOrder) {
  opts.limit = 2;
  EXPECT_EQ(load().labels, (std::vector<std::int32_t>{0, 1}));
  opts.limit = 0;
  EXPECT_EQ(load().count, 4);
}

TEST_F(ImageFolder, PrefersATestFolderThatHasClasses) {
  fs::create_directories(folder / "test");
  put(folder / "test" / "1.jpg", "not labelled");
  EXPECT_EQ(load(Part::test).origin, (folder / "val").string());
  fs::create_directories(folder / "test" / "cat");
  put(folder / "test" / "cat" / "1.jpg", jpeg_file(plain(60)));
  EXPECT_EQ(values(load(Part::test)), std::vector<int>{60});
}

TEST_F(ImageFolder, SaysWhatIsMissing) {
  fs::create_directories(folder / "val" / "hamster");
  expect_contains(failure(Part::test), "hamster' is no class of the training images");
  fs::remove_all(folder / "val");
  expect_contains(failure(Part::test), "none to test: there is neither 'test' nor 'val'");
  fs::create_directories(folder / "train" / "empty");
  expect_contains(failure(), "empty' holds no image");
  fs::remove_all(folder / "train");
  fs::create_directories(folder / "train");
  expect_contains(failure(), "holds no folders of classes");
  fs::remove_all(folder / "train");
  expect_contains(failure(), "holds no data set");
  opts.image_size = 0;
  fs::create_directories(folder / "train");
  expect_contains(request_error_of([&] { load(); }), "squares of 0 pixels");
}

// --- Bad files -----------------------------------------------------------------------------------

TEST_F(ImageFolder, ABadFileIsNamedOrSkipped) {
  put(cats / "b.JPEG", "no image");
  put(dogs / "y.jpg", jpeg_file(plain(70)).substr(0, 400));
  expect_contains(failure(), "'" + (dogs / "y.jpg").string() + "' is no usable image");
  opts.skip_bad = 1;
  const std::string text = failure();
  expect_contains(text, "more than the 1 bad files");
  expect_contains(text, "'" + (cats / "b.JPEG").string() + "'");
  EXPECT_TRUE(caches().empty());
  opts.skip_bad = 2;
  const Dataset data = load();
  EXPECT_EQ(values(data), (std::vector<int>{10, 40, 30}));
  EXPECT_EQ(data.labels, (std::vector<std::int32_t>{0, 1, 0}));
  ASSERT_EQ(data.notes.size(), 3u);
  expect_contains(data.notes[0], "2 of 5 images");
  expect_contains(data.notes[1], "y.jpg");
  // Out of the cache it is told again, and refused again where less is allowed.
  EXPECT_EQ(caches().size(), 1u);
  EXPECT_EQ(load().notes, data.notes);
  opts.skip_bad = 1;
  expect_contains(failure(), "more than the 1 bad files");
  opts.skip_bad = 100;
  for (const fs::path& path : {cats / "a.jpg", cats / "c.png", dogs / "z.Png"}) put(path, "x");
  expect_contains(failure(), "all 5 images of");
}

TEST_F(ImageFolder, TheNumberOfThreadsMakesNoDifference) {
  for (int i = 0; i < 40; ++i) {
    put(cats / ("n" + std::to_string(i) + ".jpg"), jpeg_file(sample_picture(30 + i, 50)));
    if (i % 7 == 3) put(cats / ("n" + std::to_string(i) + ".jpg"), "bad");
  }
  const ImageList list = list_images(folder, Part::train, 0);
  const PackedImages one = pack_images(list, {.side = 16, .skip_bad = 6, .threads = 1});
  EXPECT_EQ(one.skipped.size(), 6u);
  const auto named = [&](std::int64_t threads, std::int64_t allowed) {
    return failure_of(
        [&] { pack_images(list, {.side = 16, .skip_bad = allowed, .threads = threads}); });
  };
  for (std::int64_t threads : {2, 5, 16}) {
    const PackedImages some = pack_images(list, {.side = 16, .skip_bad = 6, .threads = threads});
    EXPECT_EQ(some.images, one.images);
    EXPECT_EQ(some.labels, one.labels);
    EXPECT_EQ(some.skipped, one.skipped);
    for (std::int64_t allowed : {0, 3}) EXPECT_EQ(named(threads, allowed), named(1, allowed));
  }
}

TEST_F(ImageFolder, SaysThatTheMemoryDoesNotHoldThem) {
  const ImageList list = list_images(folder, Part::train, 0);
  const std::string text =
      failure_of([&] { pack_images(list, {.side = 16, .most_bytes = 4 * 768 - 1}); });
  expect_contains(text, "the 4 images of '" + (folder / "train").string() + "' take 0.0 GB");
  expect_contains(text, "choose --image-store packed or files, a smaller --image-size");
  EXPECT_EQ(pack_images(list, {.side = 16, .most_bytes = 4 * 768}).labels.size(), 4u);
}

TEST_F(ImageFolder, TellsItsProgress) {
  std::vector<std::int64_t> seen;
  opts.threads = 1;
  opts.progress = [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(total, 4);
    seen.push_back(done);
  };
  load();
  EXPECT_EQ(seen, (std::vector<std::int64_t>{0, 1, 2, 3}));
  load();
  EXPECT_EQ(seen.size(), 4u) << "nothing is decoded again";
  opts.image_size = 7;
  opts.progress = [](std::int64_t, std::int64_t) { throw std::runtime_error("enough"); };
  EXPECT_THROW(load(), std::runtime_error);
}

// --- The cache -----------------------------------------------------------------------------------

TEST_F(ImageFolder, TheCacheIsUsedAsLongAsNothingChanges) {
  const Dataset first = load();
  ASSERT_EQ(caches().size(), 1u);
  // A file with other content and the same size and time shows whether it was looked at.
  const auto time = fs::last_write_time(cats / "c.png");
  std::string other = bytes_in(cats / "c.png");
  other[60] = static_cast<char>(other[60] ^ 1);
  put(cats / "c.png", other);
  fs::last_write_time(cats / "c.png", time);
  EXPECT_EQ(load().images, first.images);
  EXPECT_EQ(load().class_names, first.class_names);

  fs::last_write_time(cats / "c.png", time + std::chrono::seconds(1));
  expect_contains(failure(), "c.png' is no usable image");
  put(cats / "c.png", png_file(plain(33)));
  EXPECT_EQ(values(load()), (std::vector<int>{10, 40, 20, 33}));
  fs::rename(cats / "c.png", cats / "0.png");
  EXPECT_EQ(values(load()), (std::vector<int>{33, 40, 10, 20}));
  fs::remove(cats / "0.png");
  EXPECT_EQ(load().count, 3);
  EXPECT_EQ(caches().size(), 1u) << "the old one is replaced";
  opts.image_size = 9;
  EXPECT_EQ(load().h, 9);
  EXPECT_EQ(caches().size(), 2u);
}

TEST_F(ImageFolder, ImagesInTheCacheLieAtAFixedStride) {
  const Dataset data = load();
  const std::string bytes = bytes_in(caches().at(0));
  EXPECT_TRUE(bytes.starts_with("LAMINAI2"));
  ASSERT_EQ(bytes.size(), 4096u + data.images.size() + 4 * 4 + 8);
  EXPECT_EQ(bytes.substr(4096, data.images.size()),
            std::string(data.images.begin(), data.images.end()));
  EXPECT_TRUE(bytes.ends_with(std::string("cat\0dog\0", 8)));
}

TEST_F(ImageFolder, ADamagedCacheIsMadeAnew) {
  const Dataset first = load();
  const fs::path path = caches().at(0);
  const std::string good = bytes_in(path);
  for (std::size_t length : {0u, 8u, 95u, 200u, 4096u, static_cast<unsigned>(good.size() - 1)}) {
    put(path, good.substr(0, length));
    EXPECT_EQ(load().images, first.images) << length;
    EXPECT_EQ(bytes_in(path), good);
  }
  // Every byte of the header and the text, and of the labels where it makes them no label.
  std::vector<std::size_t> places(96);
  std::iota(places.begin(), places.end(), 0u);
  const std::size_t labels = good.size() - 8 - 16;
  for (std::size_t at : {labels + 1, labels + 7, labels + 15, good.size() - 5, good.size() - 1})
    places.push_back(at);
  for (std::size_t at : places) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1 << at % 8);
    put(path, bad);
    EXPECT_EQ(load().images, first.images) << at;
  }
}

TEST_F(ImageFolder, WithoutACacheItWorksToo) {
  const Dataset first = load();
  {
    const Environment no_home("HOME", std::nullopt), no_cache("XDG_CACHE_HOME", std::nullopt);
    EXPECT_EQ(load().images, first.images);
  }
  put(home / "file", "where the folder of the cache should be");
  const Environment cache("XDG_CACHE_HOME", (home / "file").string());
  const Dataset data = load();
  EXPECT_EQ(data.images, first.images);
  ASSERT_EQ(data.notes.size(), 1u);
  expect_contains(data.notes[0], "decoded again next time");
}

}  // namespace
}  // namespace lamina
