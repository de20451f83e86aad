// Downloads from servers that serve and servers that fail.
// SPDX-License-Identifier: Apache-2.0
#include "engine/data/download.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>

#include "tests/data/http_server.h"
#include "tests/data/support.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

// Bytes that do not compress, so that the file is as long as it looks.
std::string noise(std::size_t count) {
  std::string bytes;
  for (std::uint32_t i = 0, x = 7; i < count; ++i)
    bytes += static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  return bytes;
}

class Download : public testing::Test {
 protected:
  // The servers are on this machine, whatever proxy the environment names.
  Environment no_proxy{"no_proxy", "*"};
  Environment mirror{"LAMINA_MIRROR", std::nullopt};
  TempFolder folder;
  const std::string content = noise(300'000);
  const std::string packed = gzip(content);
  const ServedFile file = published("digits", content).served;
  const std::map<std::string, std::string> served{{"/digits.gz", packed}};

  // Time enough for a busy machine.
  DownloadOpts from(std::vector<std::string> mirrors) const {
    return {.mirrors = std::move(mirrors),
            .progress = {},
            .connect_timeout_s = 20,
            .stall_timeout_s = 20};
  }
  fs::path fetch(const DownloadOpts& opts) const {
    return download_file(file, folder / "sub", opts);
  }
  // All went well: the file, and nothing else.
  void expect_whole(const fs::path& path) const {
    EXPECT_EQ(path, folder / "sub" / "digits.gz");
    EXPECT_EQ(bytes_in(path), packed);
    EXPECT_EQ(folder.count_files(), 1);
  }
  void put_part(const std::string& bytes) const {
    fs::create_directories(folder / "sub");
    put(folder / "sub" / "digits.gz.part", bytes);
  }
};

TEST_F(Download, FetchesAFileOnce) {
  const HttpServer server(Manner::good, served);
  expect_whole(fetch(from({server.address()})));
  expect_whole(fetch(from({server.address()})));
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(Download, ReplacesAFileThatIsNotThePublishedOne) {
  const HttpServer server(Manner::good, served);
  fs::create_directories(folder / "sub");
  put(folder / "sub" / "digits.gz", packed + "x");
  expect_whole(fetch(from({server.address()})));
}

TEST_F(Download, TakesFileAddresses) {
  fs::create_directories(folder / "mirror");
  put(folder / "mirror" / "digits.gz", packed);
  put_part(packed.substr(0, 1000));
  const fs::path path = fetch(from({"file://" + (folder / "mirror").string() + "/"}));
  EXPECT_EQ(bytes_in(path), packed);
  EXPECT_EQ(folder.count_files(), 2);
}

TEST_F(Download, ContinuesWhereAFormerTryBrokeOff) {
  const HttpServer server(Manner::good, served);
  put_part(packed.substr(0, 100'000));
  expect_whole(fetch(from({server.address()})));
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].from, 100'000);
}

TEST_F(Download, ContinuesOnTheNextMirror) {
  const HttpServer breaking(Manner::breaking, served), good(Manner::good, served);
  expect_whole(fetch(from({breaking.address(), good.address()})));
  EXPECT_EQ(breaking.requests().size(), 1u);
  ASSERT_EQ(good.requests().size(), 1u);
  EXPECT_EQ(good.requests()[0].from, std::ssize(packed) / 2);
}

TEST_F(Download, StartsAnewWhereTheServerCannotContinue) {
  const HttpServer server(Manner::no_ranges, served);
  put_part(packed.substr(0, 100'000));
  expect_whole(fetch(from({server.address()})));
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(Download, StartsAnewWhenThePartWasSomethingElse) {
  const HttpServer server(Manner::good, served);
  put_part(std::string(100'000, 'x'));
  expect_whole(fetch(from({server.address()})));
  put_part(packed + "x");
  fs::remove(folder / "sub" / "digits.gz");
  expect_whole(fetch(from({server.address()})));
}

TEST_F(Download, APartThatIsWholeNeedsNoServer) {
  put_part(packed);
  expect_whole(fetch(from({dead_address()})));
}

TEST_F(Download, TriesTheNextMirrorAfterADeadOne) {
  const HttpServer missing(Manner::missing, {}), good(Manner::good, served);
  expect_whole(fetch(from({dead_address(), missing.address(), good.address()})));
}

TEST_F(Download, GivesAStallingServerUp) {
  const HttpServer stalling(Manner::stalling, served), good(Manner::good, served);
  DownloadOpts opts = from({stalling.address(), good.address()});
  opts.stall_timeout_s = 2;
  expect_whole(fetch(opts));
  EXPECT_EQ(good.requests().at(0).from, std::ssize(packed) / 2);

  fs::remove_all(folder / "sub");
  opts.mirrors.pop_back();
  expect_contains(failure_of([&] { fetch(opts); }), stalling.address() + ": it stopped answering");
  // What came is kept for the next try.
  EXPECT_EQ(fs::file_size(folder / "sub" / "digits.gz.part"), packed.size() / 2);
}

TEST_F(Download, RefusesAFileWithAWrongChecksum) {
  std::string wrong = packed;
  wrong[1000] = static_cast<char>(wrong[1000] ^ 1);
  const HttpServer server(Manner::good, {{"/digits.gz", wrong}});
  const std::string text = failure_of([&] { fetch(from({server.address()})); });
  expect_contains(text, "'digits.gz'");
  expect_contains(text, file.sha256);
  expect_contains(text, "--mirror or LAMINA_MIRROR");
  expect_contains(text, (folder / "sub").string());
  EXPECT_EQ(folder.count_files(), 0);

  const HttpServer good(Manner::good, served);
  expect_whole(fetch(from({server.address(), good.address()})));
}

TEST_F(Download, RefusesAFileOfAnotherLength) {
  const HttpServer shorter(Manner::good, {{"/digits.gz", packed.substr(0, 5000)}});
  expect_contains(failure_of([&] { fetch(from({shorter.address()})); }), "5000 bytes came");
  const HttpServer longer(Manner::good, {{"/digits.gz", packed + std::string(1'000'000, 'x')}});
  expect_contains(failure_of([&] { fetch(from({longer.address()})); }), "it sends more than");
  EXPECT_EQ(folder.count_files(), 0);
}

TEST_F(Download, NamesEveryMirrorThatFailed) {
  const HttpServer missing(Manner::missing, {});
  const std::string dead = dead_address();
  const std::string text = failure_of([&] { fetch(from({dead, missing.address()})); });
  expect_contains(text, dead);
  expect_contains(text, missing.address() + ": HTTP status 404");
  expect_contains(text, "try again later");
  expect_contains(text, "put the file into '" + (folder / "sub").string() + "' by hand");
  EXPECT_EQ(folder.count_files(), 0);
}

TEST_F(Download, SaysThatTheMachineIsOffline) {
  expect_contains(failure_of([&] {
                    fetch(from({dead_address(), dead_address()}));
                  }),
                  "this machine seems to be offline");
  expect_contains(failure_of([&] { fetch(from({})); }), "no mirror is known");
}

TEST_F(Download, RefusesOtherProtocols) {
  expect_contains(failure_of([&] { fetch(from({"ftp://127.0.0.1/"})); }), "Protocol \"ftp\"");
}

TEST_F(Download, NamesAFolderThatCannotBeWritten) {
  put(folder / "sub", "a file where the folder should be");
  expect_contains(failure_of([&] { fetch(from({dead_address()})); }), (folder / "sub").string());
}

// A limit on the size of files is as good as a full disk.
TEST_F(Download, NamesTheFileThatDoesNotFit) {
  const HttpServer server(Manner::good, served);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{100'000, before.rlim_max};
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string text = failure_of([&] { fetch(from({server.address(), server.address()})); });
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  expect_contains(text, "cannot write '" + (folder / "sub" / "digits.gz.part").string() + "'");
  expect_contains(text, "another file system");
  EXPECT_EQ(server.requests().size(), 1u);
  // With room again, it goes on from there.
  expect_whole(fetch(from({server.address()})));
  EXPECT_GT(server.requests().back().from, 50'000);
}

TEST_F(Download, RefusesAFileThatAnotherDownloadWrites) {
  put_part("");
  std::FILE* other = std::fopen((folder / "sub" / "digits.gz.part").c_str(), "r+");
  ASSERT_NE(other, nullptr);
  ASSERT_EQ(flock(fileno(other), LOCK_EX | LOCK_NB), 0);
  const HttpServer server(Manner::good, served);
  expect_contains(failure_of([&] { fetch(from({server.address()})); }), "another download");
  std::fclose(other);
  expect_whole(fetch(from({server.address()})));
}

TEST_F(Download, ReportsItsProgress) {
  const HttpServer server(Manner::good, served);
  put_part(packed.substr(0, 100'000));
  DownloadOpts opts = from({server.address()});
  std::vector<DownloadProgress> seen;
  opts.progress = [&](const DownloadProgress& progress) { seen.push_back(progress); };
  fetch(opts);
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.front().file, "digits.gz");
  EXPECT_EQ(seen.front().mirror, server.address());
  EXPECT_GE(seen.front().done, 100'000);
  EXPECT_EQ(seen.back().done, std::ssize(packed));
  EXPECT_EQ(seen.back().total, std::ssize(packed));
}

TEST_F(Download, AThrowingProgressStopsIt) {
  const HttpServer server(Manner::good, served);
  DownloadOpts opts = from({server.address(), server.address()});
  opts.progress = [](const DownloadProgress&) { throw std::runtime_error("enough"); };
  EXPECT_THROW(fetch(opts), std::runtime_error);
  EXPECT_LE(server.requests().size(), 1u);
  EXPECT_FALSE(fs::exists(folder / "sub" / "digits.gz"));
}

TEST_F(Download, MirrorsComeFromTheFlagThenTheVariableThenTheList) {
  const DatasetInfo info = *find_dataset("mnist");
  EXPECT_EQ(mirrors_of(info), info.mirrors);
  EXPECT_EQ(mirrors_of(info, "http://one").front(), "http://one/mnist/");
  EXPECT_EQ(mirrors_of(info, "http://one").at(1), "http://one/");
  EXPECT_EQ(mirrors_of(info, "http://one/").size(), info.mirrors.size() + 2);
  const Environment variable("LAMINA_MIRROR", "file:///two/");
  EXPECT_EQ(mirrors_of(info).at(1), "file:///two/");
  EXPECT_EQ(mirrors_of(info, "http://one").at(1), "http://one/");
  expect_contains(request_error_of([&] { mirrors_of(info, "/some/folder"); }), "file:///folder");
}

// A server that somebody else wrote: python3 -m http.server, which knows no ranges.
class PythonServer {
 public:
  explicit PythonServer(const fs::path& root) {
    int pipes[2];
    if (pipe(pipes) != 0) return;
    child_ = fork();
    if (child_ == 0) {
      dup2(pipes[1], STDOUT_FILENO);
      close(pipes[0]);
      if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(127);
      execlp("python3",
             "python3",
             "-u",
             "-m",
             "http.server",
             "0",
             "--bind",
             "127.0.0.1",
             "--directory",
             root.c_str(),
             static_cast<char*>(nullptr));
      _exit(127);
    }
    close(pipes[1]);
    said_ = fdopen(pipes[0], "r");
    if (std::fscanf(said_, "Serving HTTP on 127.0.0.1 port %d", &port_) != 1) port_ = 0;
  }
  ~PythonServer() {
    if (child_ <= 0) return;
    std::fclose(said_);
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  PythonServer(const PythonServer&) = delete;
  PythonServer& operator=(const PythonServer&) = delete;

  int port() const { return port_; }

 private:
  pid_t child_ = -1;
  std::FILE* said_ = nullptr;  // open as long as it runs: it says more than its port
  int port_ = 0;
};

TEST_F(Download, WorksWithTheServerOfPython) {
  const TempFolder root;
  put(root / "digits.gz", packed);
  const PythonServer server(root.path());
  if (server.port() == 0) GTEST_SKIP() << "SKIP: python3 cannot serve files here";
  const std::string address = "http://127.0.0.1:" + std::to_string(server.port()) + "/";
  put_part(packed.substr(0, 100'000));
  expect_whole(fetch(from({address + "none/", address})));
}

}  // namespace
}  // namespace lamina
