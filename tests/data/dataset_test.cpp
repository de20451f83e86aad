// Data sets: where they are looked for, what a folder must hold, and the real ones where they are.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/data/locate.h"
#include "engine/data/verify.h"
#include "tests/data/support.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

std::string quoted(const fs::path& path) { return "'" + path.string() + "'"; }

// --- A folder of one's own -----------------------------------------------------------------------

TEST(DataFolder, LoadsBothParts) {
  const TempFolder folder;
  put_small_set(folder.path(), 6, 2);
  const Dataset train = load_dataset(folder.path().string(), Part::train);
  EXPECT_EQ(train.name, folder.path().string());
  EXPECT_EQ(train.origin, folder.path().string());
  EXPECT_EQ(train.count, 6);
  EXPECT_EQ(train.h, 2);
  EXPECT_EQ(train.w, 3);
  EXPECT_EQ(train.c, 1);
  EXPECT_EQ(train.labels, (std::vector<std::int32_t>{0, 1, 2, 0, 1, 2}));
  ASSERT_EQ(train.images.size(), 36u);
  for (std::size_t i = 0; i < 36; ++i) EXPECT_EQ(train.images[i], i);
  EXPECT_EQ(train.class_names, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(train.mean, std::vector<float>{0.0f});
  EXPECT_EQ(train.stddev, std::vector<float>{1.0f});
  EXPECT_EQ(label_histogram(train), (std::vector<std::int64_t>{2, 2, 2}));

  // Two test samples with labels 0 and 1: the third class is known from the other part.
  const Dataset test = load_dataset(folder.path().string(), Part::test);
  EXPECT_EQ(test.count, 2);
  EXPECT_EQ(test.classes, 3);
}

TEST(DataFolder, TakesTheUsualSpellings) {
  const TempFolder folder;
  put_small_set(folder.path());
  const auto respell = [&](const std::string& from, const std::string& to) {
    put(folder / to, to.ends_with(".gz") ? gzip(bytes_in(folder / from)) : bytes_in(folder / from));
    fs::remove(folder / from);
  };
  respell("train-images-idx3-ubyte", "train-images.idx3-ubyte.gz");
  respell("train-labels-idx1-ubyte", "train-labels.idx1-ubyte");
  respell("t10k-images-idx3-ubyte", "test-images-idx3-ubyte");
  respell("t10k-labels-idx1-ubyte", "test-labels.idx1-ubyte.gz");
  EXPECT_EQ(load_dataset(folder.path().string(), Part::train).count, 6);
  EXPECT_EQ(load_dataset(folder.path().string(), Part::test).count, 3);
}

TEST(DataFolder, NamesTheFileThatIsMissing) {
  const TempFolder folder;
  put_small_set(folder.path());
  fs::remove(folder / "t10k-labels-idx1-ubyte");
  const std::string text = failure_of([&] { load_dataset(folder.path().string(), Part::test); });
  expect_contains(text, quoted(folder.path()));
  expect_contains(text, "'t10k-labels-idx1-ubyte'");
  expect_contains(text, "put it there");
  EXPECT_EQ(load_dataset(folder.path().string(), Part::train).count, 6);
}

TEST(DataFolder, RefusesImagesAndLabelsOfDifferentCounts) {
  const TempFolder folder;
  put_small_set(folder.path());
  put(folder / "train-labels-idx1-ubyte", idx_labels({0, 1, 2, 0, 1}));
  const std::string text = failure_of([&] { load_dataset(folder.path().string(), Part::train); });
  expect_contains(text, quoted(folder / "train-images-idx3-ubyte") + " holds 6 images");
  expect_contains(text, quoted(folder / "train-labels-idx1-ubyte") + " 5 labels");
  expect_contains(text, "replace the one that is wrong");
}

TEST(DataFolder, ALimitKeepsTheFirst) {
  const TempFolder folder;
  put_small_set(folder.path());
  const auto load = [&](std::int64_t limit) {
    return load_dataset(folder.path().string(), Part::train, {"", 1, limit});
  };
  EXPECT_EQ(load(4).count, 4);
  EXPECT_EQ(load(4).labels, (std::vector<std::int32_t>{0, 1, 2, 0}));
  EXPECT_EQ(load(4).images.size(), 24u);
  EXPECT_EQ(load(2).classes, 3);
  EXPECT_EQ(load(6).count, 6);
  EXPECT_EQ(load(100).count, 6);
  expect_contains(request_error_of([&] { load(-1); }), "-1 samples");
}

// --- Names ---------------------------------------------------------------------------------------

TEST(DataName, UnknownNamesGetASuggestion) {
  try {
    load_dataset("mnits", Part::train);
    ADD_FAILURE() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::request);
    EXPECT_STREQ(
        error.what(),
        "unknown data set 'mnits'; name one of mnist, fashion-mnist, cifar-10, cifar-100, "
        "synthetic-digits, synthetic-images, or a folder that holds one. Did you mean 'mnist'?");
  }
  expect_contains(request_error_of([] { load_dataset("imagenet", Part::train); }),
                  "or a folder that holds one.");
}

TEST(DataName, PartsHaveNames) {
  EXPECT_EQ(part_from_name("train"), Part::train);
  EXPECT_EQ(part_from_name(name_of(Part::test)), Part::test);
  expect_contains(request_error_of([] { part_from_name("valid"); }), "train and test");
}

TEST(DataName, AFolderThatIsNotThereIsNamed) {
  const std::string text = request_error_of([] { load_dataset("no/such/folder", Part::train); });
  expect_contains(text, "'no/such/folder' does not exist");
  expect_contains(text, "correct the path");
}

// --- The search ----------------------------------------------------------------------------------

TEST(DataSearch, GoesFromTheNearestToTheFarthest) {
  const TempFolder home;
  const fs::path repository = home / "repository", here = repository / "sub";
  fs::create_directories(here);
  fs::create_directories(repository / ".git");
  const LonelySearch lonely(home.path());
  const Environment data("LAMINA_DATA", (home / "env").string());
  const CurrentFolder current(here);
  const std::vector<fs::path> places = {
      home / "env" / "mnist",
      home / "env" / "MNIST" / "raw",
      home / "env",
      repository / "shared" / "data" / "mnist",  // beside the current folder
      here / "data" / "mnist",
      here / "data" / "MNIST" / "raw",
      home / "shared" / "data" / "mnist",  // beside the repository
      repository / "data" / "mnist",
      repository / "data" / "MNIST" / "raw",
      home / "cache" / "lamina" / "mnist",
  };
  for (const fs::path& place : places) put_small_set(place);
  for (const fs::path& place : places) {
    EXPECT_EQ(fs::canonical(load_dataset("mnist", Part::test).origin), fs::canonical(place));
    for (const auto& entry : fs::directory_iterator(place)) {
      if (entry.is_regular_file()) fs::remove(entry);
    }
  }
  const std::string text = failure_of([] { load_dataset("mnist", Part::test); });
  for (const fs::path& place : places) expect_contains(text, place.string() + "'");
  expect_contains(text, "run 'lamina data get mnist'");
  expect_contains(text, "--data-dir or LAMINA_DATA");
}

TEST(DataSearch, KnowsThePackageOfDebian) {
  const auto folders = search_folders(*find_dataset("fashion-mnist"), "");
  EXPECT_EQ(folders.back(), "/usr/share/datasets/fashion-mnist");
  expect_contains(mend_for(*find_dataset("fashion-mnist"), "", folders.back()),
                  "apt-get install --reinstall dataset-fashion-mnist");
}

TEST(DataSearch, ARootIsTheOnlyPlace) {
  const TempFolder home;
  const LonelySearch lonely(home.path());
  put_small_set(home / "data" / "mnist");
  fs::create_directory(home / "root");
  const DataOpts opts{.root = (home / "root").string()};
  EXPECT_EQ(load_dataset("mnist", Part::train).count, 6);
  const std::string text = failure_of([&] { load_dataset("mnist", Part::train, opts); });
  expect_contains(text, quoted(home / "root" / "mnist"));
  expect_contains(text, "run 'lamina data get mnist --data-dir " + opts.root + "'");
  EXPECT_EQ(text.find((home / "data").string()), std::string::npos) << text;
  put_small_set(home / "root" / "mnist", 4);
  EXPECT_EQ(load_dataset("mnist", Part::train, opts).count, 4);

  const std::string none = request_error_of(
      [&] { load_dataset("mnist", Part::train, {.root = (home / "none").string()}); });
  expect_contains(none, quoted(home / "none") + " does not exist");
  expect_contains(none, "correct --data-dir");
}

TEST(DataSearch, SaysWhatAFolderLacks) {
  const TempFolder home;
  const LonelySearch lonely(home.path());
  put_small_set(home / "data" / "mnist");
  fs::remove(home / "data" / "mnist" / "train-labels-idx1-ubyte");
  expect_contains(failure_of([] { load_dataset("mnist", Part::train); }),
                  "mnist' (without train-labels-idx1-ubyte)");
  EXPECT_EQ(load_dataset("mnist", Part::test).count, 3);
}

TEST(DataSearch, NamesTheCommandThatMendsADamagedFile) {
  const TempFolder home;
  const LonelySearch lonely(home.path());
  const fs::path folder = home / "data" / "mnist", labels = folder / "train-labels-idx1-ubyte";
  put_small_set(folder);
  put(labels, idx_labels({0, 1, 2, 10, 4, 5}));
  const std::string text = failure_of([] { load_dataset("mnist", Part::train); });
  expect_contains(text, labels.lexically_relative(home.path()).string());
  expect_contains(text, "label 10 at sample 3");
  expect_contains(text, "move it away and run 'lamina data get mnist'.");
  put(labels, idx_labels({0, 1, 2, 9, 4, 5}));
  EXPECT_EQ(load_dataset("mnist", Part::train).classes, 10);
}

TEST(DataSearch, WithoutAHomeThereIsNoCache) {
  const Environment home("HOME", std::nullopt), cache("XDG_CACHE_HOME", std::nullopt);
  const DatasetInfo info = *find_dataset("mnist");
  expect_contains(failure_of([&] { download_folder(info, ""); }), "--data-dir");
  EXPECT_EQ(download_folder(info, "root"), "root/mnist");
  for (const fs::path& folder : search_folders(info, ""))
    EXPECT_EQ(folder.string().find("lamina/mnist"), std::string::npos) << folder;
  const Environment set("HOME", "/nowhere/nobody");
  EXPECT_EQ(download_folder(info, ""), "/nowhere/nobody/.cache/lamina/mnist");
  const Environment relative("XDG_CACHE_HOME", "relative");
  EXPECT_EQ(download_folder(info, ""), "/nowhere/nobody/.cache/lamina/mnist");
}

// --- Verification --------------------------------------------------------------------------------

TEST(VerifyFile, TellsTheFileFromTheContentAndFromNeither) {
  const TempFolder folder;
  const std::string content(5000, 'x');
  const PublishedFile file = published("some", content);
  put(folder / "some.gz", gzip(content));
  put(folder / "again.gz", gzip(content.substr(0, 100)) + gzip(content.substr(100)));
  put(folder / "plain", content);
  put(folder / "other", content + "x");
  EXPECT_EQ(verify_file(*idx_format(), file, folder / "some.gz", "mend it").verdict,
            Verdict::original);
  EXPECT_EQ(verify_file(*idx_format(), file, folder / "again.gz", "mend it").verdict,
            Verdict::same_content);
  const FileReport plain = verify_file(*idx_format(), file, folder / "plain", "mend it");
  EXPECT_EQ(plain.verdict, Verdict::same_content);
  EXPECT_EQ(plain.bytes, 5000u);
  EXPECT_EQ(plain.content_sha256, file.content_sha256);
  const std::string text =
      failure_of([&] { verify_file(*idx_format(), file, folder / "other", "mend it"); });
  expect_contains(text, quoted(folder / "other") + " is not the published file");
  expect_contains(text, file.content_sha256);
  expect_contains(text, "5001 bytes");
  expect_contains(text, "; mend it.");
}

// --- The real data sets --------------------------------------------------------------------------

// The folder of the files, found as every command finds them; nullopt where they are not here.
std::optional<DataFiles> real(const std::string& name) {
  return find_files(*find_dataset(name), "", {Part::train, Part::test});
}

#define LAMINA_NEEDS(name)                                                                         \
  if (!real(name))                                                                                 \
  GTEST_SKIP() << "SKIP: data set " << name << " is not on this machine; lamina data get " << name \
               << " would bring it"

std::vector<std::int32_t> first_labels(const Dataset& data) {
  return {data.labels.begin(), data.labels.begin() + 10};
}

TEST(RealData, MnistIsMnist) {
  LAMINA_NEEDS("mnist");
  const Dataset train = load_dataset("mnist", Part::train),
                test = load_dataset("mnist", Part::test);
  EXPECT_EQ(train.count, 60000);
  EXPECT_EQ(test.count, 10000);
  EXPECT_EQ(train.images.size(), 60000u * 28 * 28);
  EXPECT_EQ(train.classes, 10);
  EXPECT_EQ(first_labels(train), (std::vector<std::int32_t>{5, 0, 4, 1, 9, 2, 1, 3, 1, 4}));
  EXPECT_EQ(first_labels(test), (std::vector<std::int32_t>{7, 2, 1, 0, 4, 1, 4, 9, 5, 9}));
  EXPECT_EQ(
      label_histogram(train),
      (std::vector<std::int64_t>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}));
  EXPECT_EQ(label_histogram(test),
            (std::vector<std::int64_t>{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}));
  double sum = 0;
  for (std::uint8_t pixel : train.images) sum += pixel;
  EXPECT_NEAR(sum / 255.0 / static_cast<double>(train.images.size()), train.mean.at(0), 5e-5);
}

TEST(RealData, FashionMnistIsFashionMnist) {
  LAMINA_NEEDS("fashion-mnist");
  const Dataset test = load_dataset("fashion-mnist", Part::test);
  EXPECT_EQ(test.count, 10000);
  EXPECT_EQ(first_labels(test), (std::vector<std::int32_t>{9, 2, 1, 1, 6, 1, 4, 6, 5, 7}));
  EXPECT_EQ(label_histogram(test), std::vector<std::int64_t>(10, 1000));
  EXPECT_EQ(test.class_names.at(9), "Ankle boot");
}

TEST(RealData, ChecksumsAreThePublishedOnes) {
  LAMINA_NEEDS("mnist");
  const DatasetInfo info = *find_dataset("mnist");
  for (const FileReport& report : verify_files(*info.format, *real("mnist"), &info, "mend it"))
    EXPECT_NE(report.verdict, Verdict::unknown) << report.path;
}

// The two have files of the same names and sizes.
TEST(RealData, OneDataSetIsNotTakenForTheOther) {
  LAMINA_NEEDS("mnist");
  const TempFolder home;
  const fs::path mixed = home / "mixed";
  fs::create_directory(mixed);
  const DataFiles files = *real("mnist");
  for (const DataFile& file : files.files)
    fs::create_symlink(fs::absolute(file.path), mixed / file.path.filename());
  const LonelySearch lonely(home.path());
  const DataOpts opts{.root = mixed.string()};
  EXPECT_EQ(load_dataset("mnist", Part::test, opts).count, 10000);
  expect_contains(failure_of([&] { load_dataset("fashion-mnist", Part::test, opts); }),
                  quoted(mixed) + " (holds 'mnist')");
  // The search goes on behind such a folder.
  const Environment data("LAMINA_DATA", mixed.string());
  put_small_set(home / "data" / "fashion-mnist");
  EXPECT_EQ(load_dataset("fashion-mnist", Part::test).count, 3);
}

}  // namespace
}  // namespace lamina
