// The same photographs from memory, out of a packed file and as they are.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "engine/data/device_dataset.h"
#include "engine/data/image_cache.h"
#include "engine/data/image_packing.h"
#include "kernels/context.h"
#include "tests/data/photo_folder.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

class ImageStoreTest : public PhotoFolder {
 protected:
  ImageStoreTest() : PhotoFolder(16) {}

  void SetUp() override {
    for (int i = 0; i < 9; ++i) {
      put(cats / fmt::format("{}.jpg", i), jpeg_file(sample_picture(20 + i, 31)));
      put(dogs / fmt::format("{}.png", i), png_file(sample_picture(40, 20 + 3 * i)));
    }
  }
  Dataset load(ImageStore store) {
    opts.store = store;
    return load_dataset(folder.string(), Part::train, opts);
  }
  static std::vector<std::uint8_t> all_images(const Dataset& data) {
    std::vector<std::uint8_t> all;
    for (std::int64_t i = 0; i < data.count; ++i) {
      const std::vector<std::uint8_t> one = data.image(i);
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }
  static void expect_equal(const Dataset& a, const Dataset& b) {
    EXPECT_EQ(a.count, b.count);
    EXPECT_EQ(a.labels, b.labels);
    EXPECT_EQ(a.class_names, b.class_names);
    EXPECT_EQ(a.notes, b.notes);
    EXPECT_EQ(all_images(a), all_images(b));
  }
};

TEST_F(ImageStoreTest, EveryStoreHasTheSameImages) {
  const Dataset files = load(ImageStore::files);
  EXPECT_EQ(caches().size(), 0u);
  const Dataset packed = load(ImageStore::packed);
  EXPECT_EQ(caches().size(), 1u);
  const Dataset memory = load(ImageStore::memory);
  EXPECT_EQ(memory.count, 18);
  EXPECT_TRUE(files.source && packed.source && !memory.source);
  EXPECT_TRUE(files.images.empty() && packed.images.empty());
  EXPECT_EQ(memory.images, all_images(memory));
  expect_equal(files, memory);
  expect_equal(packed, memory);
  expect_equal(load(ImageStore::packed), memory);  // out of the cache
}

TEST_F(ImageStoreTest, BadFilesAreLeftOutOfEveryStore) {
  for (const fs::path& path : {cats / "0.jpg", dogs / "3.png", dogs / "8.png"}) put(path, "bad");
  for (ImageStore store : {ImageStore::packed, ImageStore::memory}) {
    opts.skip_bad = 2;
    expect_contains(failure_of([&] { load(store); }), "more than the 2 bad files");
    EXPECT_EQ(caches().size(), 0u) << "a file that was begun";
  }
  expect_contains(failure_of([&] { load(ImageStore::files); }), "more than the 2 bad files");
  opts.skip_bad = 3;
  const Dataset packed = load(ImageStore::packed), memory = load(ImageStore::memory);
  EXPECT_EQ(memory.count, 15);
  EXPECT_EQ(memory.notes.size(), 4u);
  expect_equal(packed, memory);
  fs::remove_all(home / "cache");
  expect_equal(load(ImageStore::memory), packed);
  expect_equal(load(ImageStore::files), packed);
  // Nobody looked for them: the first one that is read is told.
  opts.skip_bad = 0;
  const Dataset files = load(ImageStore::files);
  EXPECT_EQ(files.count, 18);
  expect_contains(failure_of([&] { files.image(0); }), "0.jpg' is no usable image");
}

TEST_F(ImageStoreTest, MemoryIsTakenWhereTheyFit) {
  opts.most_bytes = 18 * 16 * 16 * 3;
  EXPECT_FALSE(load(ImageStore::automatic).source);
  --opts.most_bytes;
  EXPECT_TRUE(load(ImageStore::automatic).source);
}

TEST_F(ImageStoreTest, ReadingOutOfACacheNeedsAPlaceForIt) {
  {
    const Environment no_home("HOME", std::nullopt), no_cache("XDG_CACHE_HOME", std::nullopt);
    expect_contains(failure_of([&] { load(ImageStore::packed); }), "--image-store files");
    EXPECT_EQ(load(ImageStore::files).count, 18);
  }
  put(home / "file", "where the folder of the cache should be");
  const Environment cache("XDG_CACHE_HOME", (home / "file").string());
  EXPECT_FALSE(failure_of([&] { load(ImageStore::packed); }).empty());
  EXPECT_EQ(load(ImageStore::memory).notes.size(), 1u);
}

TEST_F(ImageStoreTest, AFileThatGetsShorterIsNamed) {
  const Dataset packed = load(ImageStore::packed);
  fs::resize_file(caches().at(0), 4096 + 5 * 768);
  EXPECT_EQ(packed.image(4).size(), 768u);
  expect_contains(failure_of([&] { packed.image(5); }), "shorter than it was");
  EXPECT_EQ(load(ImageStore::packed).image(5).size(), 768u) << "made anew";
}

TEST_F(ImageStoreTest, TheDeviceStreamsWhatIsNotInMemory) {
  Context ctx = make_context({.backend = BackendKind::ref});
  const Dataset packed = load(ImageStore::packed), memory = load(ImageStore::memory);
  EXPECT_TRUE(DeviceDataset(ctx, packed).streamed());
  EXPECT_EQ(DeviceDataset(ctx, packed).bytes(), 0u);
  EXPECT_FALSE(DeviceDataset(ctx, memory).streamed());
}

TEST(ImageStoreName, IsOneOfFour) {
  EXPECT_EQ(image_store_from_name("auto"), ImageStore::automatic);
  EXPECT_EQ(image_store_from_name("memory"), ImageStore::memory);
  EXPECT_EQ(image_store_from_name("packed"), ImageStore::packed);
  EXPECT_EQ(image_store_from_name("files"), ImageStore::files);
  expect_contains(request_error_of([] { image_store_from_name("disk"); }),
                  "choose auto, memory, packed, files");
}

}  // namespace
}  // namespace lamina
