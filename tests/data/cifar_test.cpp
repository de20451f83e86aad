// CIFAR-10 and CIFAR-100: both versions of their files, and what can be wrong with them.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/cifar.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "engine/data/locate.h"
#include "engine/data/verify.h"
#include "tests/data/cifar_files.h"
#include "tests/data/support.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

std::string text_of(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

void expect_images(const Dataset& data) {
  ASSERT_EQ(data.images.size(), static_cast<std::size_t>(data.count * 32 * 32 * 3));
  for (int i = 0; i < data.count; ++i) {
    for (int at = 0; at < 32 * 32 * 3; ++at) {
      const int c = at % 3, x = at / 3 % 32, y = at / 96;
      ASSERT_EQ(data.images[static_cast<std::size_t>(i * 3072 + at)],
                cifar_pixel(data.labels[static_cast<std::size_t>(i)], c, y, x))
          << "image " << i << " at " << y << ", " << x << ", " << c;
    }
  }
}

// --- Whole data sets -----------------------------------------------------------------------------

TEST(Cifar, ReadsTheBinaryVersionInTheOrderOfItsFiles) {
  const TempFolder home;
  const LonelySearch lonely(home.path());
  put_cifar10(home / "data" / "cifar-10-batches-bin");
  const Dataset train = load_dataset("cifar-10", Part::train);
  EXPECT_EQ(train.count, 10);
  EXPECT_EQ(train.h, 32);
  EXPECT_EQ(train.w, 32);
  EXPECT_EQ(train.c, 3);
  EXPECT_EQ(train.labels, (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(train.class_names.at(9), "truck");
  EXPECT_EQ(train.mean.size(), 3u);
  expect_images(train);
  EXPECT_EQ(load_dataset("cifar-10", Part::test).labels, (std::vector<std::int32_t>{0, 1, 2}));
}

TEST(Cifar, ReadsThePythonVersionAlike) {
  const TempFolder home;
  const LonelySearch lonely(home.path());
  const fs::path folder = home / "data" / "cifar-10-batches-py";
  fs::create_directories(folder);
  for (int i = 0; i < 5; ++i)
    put(folder / ("data_batch_" + std::to_string(i + 1)), cifar_pickle(cifar_records(2, 1, 2 * i)));
  put(folder / "test_batch.gz", gzip(cifar_pickle(cifar_records(3))));
  const Dataset train = load_dataset("cifar-10", Part::train);
  EXPECT_EQ(train.count, 10);
  expect_images(train);
  EXPECT_EQ(load_dataset("cifar-10", Part::test).count, 3);
}

TEST(Cifar, ReadsTheFineLabelsOfCifar100) {
  const TempFolder home;
  const LonelySearch lonely(home.path());
  const fs::path bin = home / "data" / "cifar-100-binary", py = home / "py";
  fs::create_directories(bin);
  fs::create_directories(py / "cifar-100-python");
  put(bin / "train.bin.gz", gzip(cifar_records(4, 2, 97)));
  put(bin / "test.bin", cifar_records(2, 2));
  const Dataset train = load_dataset("cifar-100", Part::train);
  EXPECT_EQ(train.labels, (std::vector<std::int32_t>{97, 98, 99, 0}));
  EXPECT_EQ(train.class_names.at(99), "worm");
  expect_images(train);
  put(py / "cifar-100-python" / "train", cifar_pickle(cifar_records(4, 2, 97), 2));
  const Dataset same = load_dataset("cifar-100", Part::train, {.root = py.string()});
  EXPECT_EQ(same.labels, train.labels);
  EXPECT_EQ(same.images, train.images);
}

TEST(Cifar, AFolderOfOnesOwnNamesItsClasses) {
  const TempFolder folder;
  put_cifar10(folder.path());
  Dataset data = load_dataset(folder.path().string(), Part::test);
  EXPECT_EQ(data.class_names.size(), 10u);
  EXPECT_EQ(data.class_names.at(3), "3");
  EXPECT_EQ(data.mean, (std::vector<float>{0, 0, 0}));
  put(folder / "batches.meta.txt", "zero\r\none\ntwo\n\n");
  data = load_dataset(folder.path().string(), Part::test);
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"zero", "one", "two"}));
  expect_contains(failure_of([&] { load_dataset(folder.path().string(), Part::train); }),
                  "label 3 in record 1, where the 3 classes are 0 to 2");
  fs::remove(folder / "batches.meta.txt");
  put(folder / "batches.meta", cifar_meta("label_names", {"a", "b", "c"}));
  data = load_dataset(folder.path().string(), Part::test);
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"a", "b", "c"}));
  fs::remove(folder / "data_batch_3.bin");
  expect_contains(failure_of([&] { load_dataset(folder.path().string(), Part::train); }),
                  "has no file 'data_batch_3.bin'");
}

TEST(Cifar, SaysWhatAFolderLacks) {
  const TempFolder home;
  const LonelySearch lonely(home.path());
  put_cifar10(home / "data" / "cifar10");
  fs::remove(home / "data" / "cifar10" / "data_batch_2.bin");
  fs::remove(home / "data" / "cifar10" / "data_batch_5.bin");
  const std::string text = failure_of([] { load_dataset("cifar-10", Part::train); });
  expect_contains(text, "cifar10' (without data_batch_2.bin, data_batch_5.bin)");
  expect_contains(text, "lamina data get cifar-10");
}

// --- Damage --------------------------------------------------------------------------------------

class CifarFile : public testing::Test {
 protected:
  TempFolder folder;
  const fs::path path = folder / "file";

  std::string failure(const std::string& bytes, std::int64_t label_bytes = 1) const {
    put(path, bytes);
    const std::string text = failure_of([&] { read_cifar_records(path, label_bytes, "mend it"); });
    expect_contains(text, "'" + path.string() + "'");
    return text;
  }
};

TEST_F(CifarFile, NamesTheRecordThatIsWrong) {
  const std::string records = cifar_records(3);
  put(path, records);
  EXPECT_EQ(text_of(read_cifar_records(path, 1)), records);
  expect_contains(failure(""), "holds no bytes; mend it.");
  expect_contains(failure(records.substr(0, 2 * 3073 + 100)),
                  "record 2 has 100 bytes, where each has 3073; mend it.");
  expect_contains(failure(records, 2), "where each has 3074");
  expect_contains(failure("<html>"), "begins like a web page");
  expect_contains(failure(gzip(records).substr(0, 50)), "cut short");

  const TempFolder home;
  const LonelySearch lonely(home.path());
  put_cifar10(home / "data" / "cifar-10");
  std::string wrong = cifar_records(2, 1, 4);
  wrong[3073] = 10;
  put(home / "data" / "cifar-10" / "data_batch_3.bin", wrong);
  const std::string text = failure_of([] { load_dataset("cifar-10", Part::train); });
  expect_contains(text, "data_batch_3.bin' has label 10 in record 1, where the 10 classes");
  expect_contains(text, "move it away and run 'lamina data get cifar-10'.");
}

TEST_F(CifarFile, TakesArraysInTheOrderOfFortran) {
  std::string columns;
  for (int at = 0; at < 3072; ++at) {
    for (int row = 0; row < 2; ++row) columns += static_cast<char>(at % 100 + 100 * row);
  }
  put(path,
      "\x80\x02}(" + pickled_text("labels") + "](K\x01K\x02"s + "e" + pickled_text("data") +
          pickled_array("K\x02M\x00\x0c"s, columns, "u1", true) + "u.");
  const std::vector<std::uint8_t> records = read_cifar_records(path, 1);
  ASSERT_EQ(records.size(), 2u * 3073);
  EXPECT_EQ(records[0], 1);
  EXPECT_EQ(records[3073], 2);
  for (std::size_t at = 0; at < 3072; ++at) {
    EXPECT_EQ(records[1 + at], at % 100);
    EXPECT_EQ(records[3074 + at], at % 100 + 100);
  }
}

TEST_F(CifarFile, RefusesPicklesThatAreNotOfCifar) {
  const std::string rows(2 * 3072, 'x');
  const auto with = [&](const std::string& labels, const std::string& array) {
    return "\x80\x02}(" + pickled_text("labels") + labels + pickled_text("data") + array + "u.";
  };
  const std::string two = "](K\x01K\x02"s + "e", shape = "K\x02M\x00\x0c"s;
  put(path, with(two, pickled_array(shape, rows)));
  EXPECT_EQ(read_cifar_records(path, 1).size(), 2u * 3073);

  expect_contains(failure("\x80\x02].", 1), "holds no dict");
  expect_contains(failure("\x80\x04}.", 1), "not of protocol 2; mend it");
  expect_contains(failure("\x80\x02}.", 1), "has no list 'labels'");
  expect_contains(failure("\x80\x02}.", 2), "has no list 'coarse_labels'");
  expect_contains(failure(with("](e", pickled_array(shape, rows))), "holds no image");
  expect_contains(failure(with("](M\x00\x01"s + "e", pickled_array(shape, rows))),
                  "as number 0 of 'labels'");
  expect_contains(failure(with(two, "N")), "no array of unsigned bytes");
  expect_contains(failure(with(two, pickled_text("abc"))), "no array of unsigned bytes");
  expect_contains(failure(with(two, pickled_array(shape, rows, "f4"))), "no array of unsigned");
  expect_contains(failure(with(two, pickled_array("K\x03M\x00\x0c"s, rows))), "2 labels, but");
  expect_contains(failure(with(two, pickled_array(shape, rows.substr(1)))), "of 6143 bytes");
  expect_contains(failure(with(two, "cposix\nsystem\nU\x02ls\x85R")),
                  "asks for posix.system, which is no part of CIFAR's Python version");
  expect_contains(failure(with(two, pickled_array(shape, rows)).substr(0, 400)), "ends too early");
  const std::string state = "cnumpy\ndtype\n)RNb";
  expect_contains(failure(with(two, state + "Nb")), "sets the state of a value twice");
}

// Every byte of a small file changed in turn: it is read, or refused in one sentence.
TEST_F(CifarFile, HostilePicklesAreReadOrRefused) {
  const std::string good = cifar_pickle(cifar_records(1));
  int refused = 0;
  for (std::size_t at = 0; at < good.size(); at += at < 200 || at + 40 > good.size() ? 1 : 97) {
    for (int flip : {0x01, 0x80, 0xff, 0x28}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      put(path, bad);
      try {
        read_cifar_records(path, 1);
      } catch (const Error& error) {
        ++refused;
        EXPECT_EQ(error.kind(), ErrorKind::failure) << error.what();
      }
    }
  }
  EXPECT_GT(refused, 500);
}

// --- What Python and the publishers say ----------------------------------------------------------

TEST_F(CifarFile, PythonTakesOurPicklesForPickles) {
  put(path, cifar_pickle(cifar_records(2, 2), 2));
  const std::string command =
      "python3 -m pickletools '" + path.string() + "' > '" + (folder / "said").string() + "' 2>&1";
  if (std::system("python3 -c pass 2> /dev/null") != 0) GTEST_SKIP() << "SKIP: no python3 here";
  ASSERT_EQ(std::system(command.c_str()), 0) << bytes_in(folder / "said");
  expect_contains(bytes_in(folder / "said"), "highest protocol among opcodes = 2");
}

TEST_F(CifarFile, ContentIsThatOfTheRecordsInEitherVersion) {
  const std::string records = cifar_records(3);
  const PublishedFile file = published("batch.bin", records);
  put(path, records);
  const DataFormatPtr format = cifar10_format();
  PublishedFile out_of_an_archive = file;
  out_of_an_archive.served = {};
  EXPECT_EQ(verify_file(*format, out_of_an_archive, path, "mend it").verdict, Verdict::original);
  put(path, cifar_pickle(records));
  EXPECT_EQ(verify_file(*format, file, path, "mend it").verdict, Verdict::same_content);
  put(path, cifar_records(3, 1, 1));
  expect_contains(failure_of([&] { verify_file(*format, file, path, "mend it"); }),
                  "is not the published file");
}

TEST(RealCifar10, IsCifar10) {
  const DatasetInfo info = *find_dataset("cifar-10");
  const auto files = find_files(info, "", {Part::train, Part::test});
  if (!files)
    GTEST_SKIP() << "SKIP: data set cifar-10 is not on this machine; lamina data get cifar-10 "
                    "would bring it";
  const Dataset train = load_dataset("cifar-10", Part::train),
                test = load_dataset("cifar-10", Part::test);
  EXPECT_EQ(label_histogram(train), std::vector<std::int64_t>(10, 5000));
  EXPECT_EQ(label_histogram(test), std::vector<std::int64_t>(10, 1000));
  EXPECT_EQ(std::vector<std::int32_t>(test.labels.begin(), test.labels.begin() + 5),
            (std::vector<std::int32_t>{3, 8, 8, 0, 6}));
  double sum[3] = {};
  for (std::size_t i = 0; i < train.images.size(); ++i) sum[i % 3] += train.images[i];
  for (std::size_t c = 0; c < 3; ++c)
    EXPECT_NEAR(sum[c] / 255.0 / (50000.0 * 1024), train.mean[c], 1e-4);
  for (const FileReport& report : verify_files(*info.format, *files, &info, "mend it"))
    EXPECT_NE(report.verdict, Verdict::unknown) << report.path;
}

}  // namespace
}  // namespace lamina
