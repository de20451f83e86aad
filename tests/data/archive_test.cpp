// Data sets that come as an archive: unpacking, and downloads from servers good and bad.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/archive.h"

#include <gtest/gtest.h>

#include "engine/data/download.h"
#include "tests/data/cifar_files.h"
#include "tests/data/http_server.h"
#include "tests/data/support.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

class Archive : public testing::Test {
 protected:
  Environment no_proxy{"no_proxy", "*"};
  TempFolder home;
  const fs::path folder = home / "set", path = home / "set.tar.gz";
  const std::string train = cifar_records(4), test = cifar_records(2);
  std::vector<PublishedFile> files{published("train.bin", train), published("test.bin", test)};

  std::string packed() const {
    return gzip(tar({{"set/readme.html", "nothing of ours"},
                     {"set/train.bin", train},
                     {"set/test.bin", test}}));
  }
  void unpack(const std::string& bytes) const {
    fs::create_directories(folder);
    put(path, bytes);
    unpack_files(path, "set", files, folder);
  }
  std::string failure(const std::string& bytes) const {
    const std::string text = failure_of([&] { unpack(bytes); });
    expect_contains(text, "'" + path.string() + "'");
    expect_contains(text, "download it again.");
    return text;
  }
  void expect_unpacked() const {
    EXPECT_EQ(bytes_in(folder / "train.bin"), train);
    EXPECT_EQ(bytes_in(folder / "test.bin"), test);
    int count = 0;
    for (const auto& entry : fs::directory_iterator(folder)) count += entry.exists() ? 1 : 0;
    EXPECT_EQ(count, 2) << "something else was unpacked";
  }
};

TEST_F(Archive, TakesTheFilesItKnowsAndNoOther) {
  unpack(packed());
  expect_unpacked();
  // Not compressed is as good.
  fs::remove_all(folder);
  unpack(tar({{"set/test.bin", test}, {"set/train.bin", train}}));
  expect_unpacked();
}

TEST_F(Archive, NothingEscapesFromTheFolder) {
  unpack(gzip(tar({{"../escaped", "x"},
                   {(home / "escaped").string(), "x"},
                   {"set/../../escaped", "x"},
                   {"set@", home.path().string()},
                   {"train.bin", "not that of the folder"},
                   {"set/train.bin", train},
                   {"set/test.bin", test},
                   {"set/train.bin", "the same name again"}})));
  expect_unpacked();
  EXPECT_FALSE(fs::exists(home / "escaped"));
  EXPECT_FALSE(fs::exists(home.path().parent_path() / "escaped"));
}

TEST_F(Archive, RefusesWhatIsNotPublished) {
  std::string other = train;
  other[99] = static_cast<char>(other[99] ^ 1);
  expect_contains(failure(tar({{"set/train.bin", other}})), "'train.bin' in");
  EXPECT_FALSE(fs::exists(folder / "train.bin"));
  expect_contains(failure(tar({{"set/train.bin", train + "x"}})), "no file of the 12292 bytes");
  expect_contains(failure(tar({{"set/train.bin@", "/etc/passwd"}})), "no file of the 12292 bytes");
  expect_contains(failure(tar({{"set/train.bin", train}})), "holds no 'set/test.bin'");
  EXPECT_EQ(bytes_in(folder / "train.bin"), train) << "what is good is kept";
}

TEST_F(Archive, RefusesWhatIsNoArchive) {
  expect_contains(failure("no archive at all, whatever its name is"), "cannot be unpacked");
  expect_contains(failure(""), "");
  const std::string whole = packed();
  for (std::size_t length : {whole.size() / 8, whole.size() / 2}) failure(whole.substr(0, length));
  const std::string bare = tar({{"set/train.bin", train}, {"set/test.bin", test}});
  for (std::size_t length : {100u, 512u, 600u, 13000u}) failure(bare.substr(0, length));
}

// Every hundredth byte changed: unpacked as published or refused, and nothing else appears.
TEST_F(Archive, HostileArchivesAreUnpackedOrRefused) {
  const std::string good = packed();
  for (std::size_t at = 0; at < good.size(); at += 13) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x55);
    fs::remove_all(folder);
    try {
      unpack(bad);
      expect_unpacked();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::failure) << error.what();
    }
  }
}

// --- With a server -------------------------------------------------------------------------------

class ArchiveDownload : public Archive {
 protected:
  const std::string archive = packed();

  DatasetInfo info() const {
    DatasetInfo set{.name = "set", .files = files, .archive_folder = "set"};
    set.archive = published("x",
                            tar({{"set/readme.html", "nothing of ours"},
                                 {"set/train.bin", train},
                                 {"set/test.bin", test}}))
                      .served;
    set.archive.name = "set.tar.gz";
    return set;
  }
  void get(std::vector<std::string> mirrors, std::int64_t stall_s = 20) const {
    const DownloadOpts opts{.mirrors = std::move(mirrors),
                            .progress = {},
                            .connect_timeout_s = 20,
                            .stall_timeout_s = stall_s};
    download_dataset(info(), folder, opts, [](const ServedFile&) {});
  }
};

TEST_F(ArchiveDownload, FetchesAndUnpacks) {
  const HttpServer server(Manner::good, {{"/set.tar.gz", archive}});
  get({server.address()});
  expect_unpacked();
}

TEST_F(ArchiveDownload, GoesOnAtTheNextMirror) {
  const std::map<std::string, std::string> served{{"/set.tar.gz", archive}};
  const HttpServer breaking(Manner::breaking, served), stalling(Manner::stalling, served),
      good(Manner::good, served);
  get({breaking.address(), stalling.address(), good.address()}, 2);
  expect_unpacked();
  EXPECT_GT(good.requests().at(0).from, std::ssize(archive) / 2);
}

TEST_F(ArchiveDownload, ALyingServerLeavesNothing) {
  std::string wrong = archive;
  wrong[500] = static_cast<char>(wrong[500] ^ 1);
  const HttpServer lying(Manner::good, {{"/set.tar.gz", wrong}});
  const HttpServer shorter(Manner::good, {{"/set.tar.gz", archive.substr(0, 900)}});
  const std::string text = failure_of([&] { get({lying.address(), shorter.address()}); });
  expect_contains(text, "'set.tar.gz'");
  expect_contains(text, info().archive.sha256);
  expect_contains(text, "900 bytes came");
  EXPECT_EQ(home.count_files(), 0);
  const HttpServer good(Manner::good, {{"/set.tar.gz", archive}});
  get({lying.address(), good.address()});
  expect_unpacked();
}

}  // namespace
}  // namespace lamina
