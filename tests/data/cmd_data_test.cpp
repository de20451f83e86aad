// The data command as its user meets it: arguments in, text and files out.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "tests/data/support.h"
#include "tools/commands.h"

namespace lamina {
namespace {

// What the command prints. Errors pass through.
std::string run(std::vector<std::string> words) {
  CLI::App app;
  cli::add_data(app);
  std::reverse(words.begin(), words.end());
  testing::internal::CaptureStdout();
  try {
    app.parse(words);
  } catch (...) {
    testing::internal::GetCapturedStdout();
    throw;
  }
  return testing::internal::GetCapturedStdout();
}

class DataCommand : public testing::Test {
 protected:
  TempFolder home;
  LonelySearch lonely{home.path()};
};

TEST_F(DataCommand, ChecksGeneratedData) {
  const std::string text = run({"data", "check", "synthetic-digits", "--seed", "4"});
  expect_contains(text, "generated, seed 4, images of 28x28x1");
  expect_contains(text, "    9  9                   1000     200\n");
  expect_contains(text, "       all                10000    2000\n");
}

TEST_F(DataCommand, ChecksAFolder) {
  put_small_set(home / "mine");
  const std::string text = run({"data", "check", "./mine"});
  expect_contains(text, "a folder of one's own");
  expect_contains(text, "train-images-idx3-ubyte");
  expect_contains(text, "not a published file");
  expect_contains(text, "    2  2                      2       1\n");
}

TEST_F(DataCommand, RefusesAKnownNameWithOtherContent) {
  put_small_set(home / "data" / "mnist");
  const std::string text = failure_of([] { run({"data", "check", "mnist"}); });
  expect_contains(text, "is not the published file");
  expect_contains(text, "move it away and run 'lamina data get mnist'");
  // get does not cover it up.
  expect_contains(failure_of([] { run({"data", "get", "mnist"}); }), "is not the published file");
}

TEST_F(DataCommand, SaysWhatIsMissing) {
  expect_contains(failure_of([] { run({"data", "check", "mnist"}); }), "lamina data get mnist");
  expect_contains(failure_of([] { run({"data", "show", "mnist"}); }), "lamina data get mnist");
  expect_contains(request_error_of([] {
                    run({"data", "check", "mnist", "--data-dir", "nowhere"});
                  }),
                  "'nowhere' does not exist");
}

TEST_F(DataCommand, RefusesUnknownNames) {
  for (const char* verb : {"get", "check", "show"}) {
    try {
      run({"data", verb, "mnits"});
      ADD_FAILURE() << verb;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::request);
      expect_contains(error.what(), "Did you mean 'mnist'?");
    }
  }
  EXPECT_THROW(run({"data", "show", "synthetic-digits", "--count", "0"}), CLI::ParseError);
  EXPECT_THROW(run({"data", "get"}), CLI::ParseError);
  EXPECT_THROW(run({"data"}), CLI::ParseError);
  expect_contains(request_error_of([] {
                    run({"data", "show", "synthetic-digits", "--part", "all"});
                  }),
                  "train and test");
}

TEST_F(DataCommand, ShowsTextAndWritesPng) {
  const std::string text = run({"data", "show", "synthetic-digits", "--count", "3"});
  EXPECT_EQ(text.find('\033'), std::string::npos) << "colours outside a terminal";
  expect_contains(text, "@");
  const std::string said =
      run({"data", "show", "synthetic-digits", "--out", "sheet.png", "--part", "train"});
  expect_contains(said, "sheet.png: 20 images of the train part of synthetic-digits");
  EXPECT_TRUE(bytes_in(home / "sheet.png").starts_with("\x89PNG"));
  EXPECT_EQ(run({"data", "show", "synthetic-digits", "--out", "-", "--part", "train"}),
            bytes_in(home / "sheet.png"));
  expect_contains(failure_of([] {
                    run({"data", "show", "synthetic-digits", "--out", "none/x.png"});
                  }),
                  "'none/x.png'");
}

// Two draws of each image: what blends, moves or blanks differs from draw to draw.
TEST_F(DataCommand, ShowsAugmentedImages) {
  const std::vector<std::string> plain = {"data", "show", "synthetic-digits", "--count", "3"};
  const auto shown = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = plain;
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  EXPECT_EQ(shown({"--augment", "flip=false,cutout=0"}), shown({}));
  std::vector<std::string> seen{shown({"--repeat", "2"})};
  for (const char* setting : {"cutout=9",
                              "mixup=1",
                              "permute_pixels=7",
                              "random_resized_crop=0.2",
                              "crop_padding=4,flip=true"}) {
    seen.push_back(shown({"--augment", setting, "--repeat", "2"}));
    for (std::size_t i = 0; i + 1 < seen.size(); ++i) EXPECT_NE(seen[i], seen.back()) << setting;
    EXPECT_EQ(seen.back(), shown({"--augment", setting, "--repeat", "2"})) << setting;
    EXPECT_NE(seen.back(), shown({"--augment", setting, "--repeat", "2", "--seed", "2"}))
        << setting;
  }
  // More and larger tiles on a page take more bytes.
  shown({"--out", "three.png"});
  expect_contains(
      shown({"--augment", "cutout=9", "--repeat", "2", "--size", "40", "--out", "six.png"}),
      "6 images");
  EXPECT_GT(bytes_in(home / "six.png").size(), bytes_in(home / "three.png").size());

  for (const auto& [setting, said] : std::vector<std::pair<std::string, std::string>>{
           {"lr=3", "'lr=3' is no setting of the augmentation"},
           {"flip", "'flip' is no setting"},
           {"cutout=x", "cutout takes a whole number"},
           {"mixup=2", "mixup is 2"},
           {"pca_shift=0.1", "have 1"},
           {"crop_padding=2,random_resized_crop=0.1", "two ways to crop"}})
    expect_contains(request_error_of([&] { shown({"--augment", setting}); }), said);
  EXPECT_THROW(shown({"--repeat", "0"}), CLI::ParseError);
}

TEST_F(DataCommand, GetsFromAMirrorAndNothingTwice) {
  expect_contains(run({"data", "get", "synthetic-digits"}), "nothing to download");
  // A mirror with wrong files: named, and nothing is left behind.
  std::filesystem::create_directories(home / "mirror" / "mnist");
  put(home / "mirror" / "mnist" / "train-images-idx3-ubyte.gz", "not the file");
  const std::string text = failure_of([&] {
    const Environment proxy("http_proxy", "http://127.0.0.1:9"),
        secure("https_proxy", "http://127.0.0.1:9");
    run({"data", "get", "mnist", "--mirror", "file://" + (home / "mirror").string()});
  });
  expect_contains(text, "mirror/mnist/: 12 bytes came, where the file has 9912422");
  expect_contains(text, "ossci-datasets.s3.amazonaws.com");
  EXPECT_EQ(home.count_files(), 1);
}

}  // namespace
}  // namespace lamina
