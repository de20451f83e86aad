// SPDX-License-Identifier: Apache-2.0
#include "engine/files/atomic_file.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

// Files of this process cannot grow beyond `bytes` while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  sighandler_t old_handler_;
};

// Runs as a user without rights while it lives; root may write anywhere.
class Nobody {
 public:
  Nobody() {
    if (was_root_ && seteuid(65534) != 0) ADD_FAILURE() << "cannot become another user";
  }
  Nobody(const Nobody&) = delete;
  Nobody& operator=(const Nobody&) = delete;
  ~Nobody() {
    if (was_root_ && seteuid(0) != 0) ADD_FAILURE() << "cannot become root again";
  }

 private:
  bool was_root_ = geteuid() == 0;
};

// Takes the right to write away from a folder's owner while it lives.
class ReadOnly {
 public:
  explicit ReadOnly(const fs::path& folder) : folder_(folder) { chmod(folder.c_str(), 0555); }
  ReadOnly(const ReadOnly&) = delete;
  ReadOnly& operator=(const ReadOnly&) = delete;
  ~ReadOnly() { chmod(folder_.c_str(), 0755); }

 private:
  fs::path folder_;
};

TEST(write_file_atomically, creates_and_replaces) {
  const TempFolder folder;
  write_file_atomically(folder / "a.txt", "a long first text");
  EXPECT_EQ(bytes_in(folder / "a.txt"), "a long first text");
  write_file_atomically(folder / "a.txt", "second");
  EXPECT_EQ(bytes_in(folder / "a.txt"), "second");
  EXPECT_EQ(folder.count_files(), 1);
}

TEST(write_file_atomically, joins_the_pieces) {
  const TempFolder folder;
  const std::string big(3'000'000, 'x'), end = "end";
  const std::span<const std::byte> pieces[] = {std::as_bytes(std::span(end)),
                                               {},
                                               std::as_bytes(std::span(big)),
                                               std::as_bytes(std::span(end))};
  write_file_atomically(folder / "a", pieces);
  EXPECT_EQ(bytes_in(folder / "a"), end + big + end);
}

TEST(write_file_atomically, gives_the_permissions_of_the_umask) {
  const TempFolder folder;
  const mode_t old = umask(027);
  write_file_atomically(folder / "a", "text");
  umask(old);
  struct stat status {};
  ASSERT_EQ(stat((folder / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(write_file_atomically, names_a_missing_folder) {
  const TempFolder folder;
  const std::string message =
      failure_of([&] { write_file_atomically(folder / "none/a.txt", "text"); });
  EXPECT_EQ(message,
            "cannot write '" + (folder / "none/a.txt").string() +
                "': No such file or directory; create its folder first.");
}

TEST(write_file_atomically, names_a_file_used_as_a_folder) {
  const TempFolder folder;
  put(folder / "file", "x");
  const std::string message = failure_of([&] { write_file_atomically(folder / "file/a", "text"); });
  expect_contains(message, "file/a': Not a directory; a part of the path is a file");
}

TEST(write_file_atomically, refuses_a_folder) {
  const TempFolder folder;
  const std::string message = failure_of([&] { write_file_atomically(folder.path(), "text"); });
  expect_contains(message, "Is a directory; name a file in this folder instead.");
}

TEST(write_file_atomically, keeps_the_old_file_when_the_new_one_is_too_large) {
  const TempFolder folder;
  write_file_atomically(folder / "a", "old");
  std::string message;
  {
    const FileSizeLimit limit(100'000);
    message = failure_of([&] { write_file_atomically(folder / "a", std::string(200'000, 'n')); });
  }
  expect_contains(message, "/a': File too large; raise the limit on file sizes (ulimit -f)");
  EXPECT_EQ(bytes_in(folder / "a"), "old");
  EXPECT_EQ(folder.count_files(), 1) << "the temporary was left behind";
}

TEST(write_file_atomically, keeps_the_old_file_without_permission) {
  const TempFolder folder;
  put(folder / "a", "old");
  std::string message;
  {
    const ReadOnly locked(folder.path());
    const Nobody nobody;
    message = failure_of([&] { write_file_atomically(folder / "a", "new"); });
  }
  expect_contains(message,
                  "/a': Permission denied; change its permissions or choose another path.");
  EXPECT_EQ(bytes_in(folder / "a"), "old");
  EXPECT_EQ(folder.count_files(), 1);
}

TEST(write_file_atomically, writes_devices_in_place) {
  const TempFolder folder;
  const fs::path device = full_device(folder);
  if (device.empty()) GTEST_SKIP() << "no device that is always full can be made here";
  const std::string message =
      failure_of([&] { write_file_atomically(device, std::string(10, 'x')); });
  EXPECT_EQ(message,
            "cannot write '" + device.string() +
                "': No space left on device; free some space or choose a folder on another disk.");
  EXPECT_TRUE(fs::is_character_file(device));
}

TEST(write_file_atomically, writes_pipes_in_place) {
  const TempFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  const int reader = open((folder / "pipe").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  write_file_atomically(folder / "pipe", "text");
  char text[8] = {};
  EXPECT_EQ(read(reader, text, sizeof(text)), 4);
  EXPECT_STREQ(text, "text");
  close(reader);
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
}

// In a child with a mount of its own, so that nothing is left whatever happens.
TEST(write_file_atomically, survives_a_full_disk) {
  const TempFolder folder;
  constexpr int kNotAllowed = 77;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool mounted = unshare(CLONE_NEWNS) == 0 &&
                         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         mount("lamina", folder.path().c_str(), "tmpfs", 0, "size=64k") == 0;
    if (!mounted) _exit(kNotAllowed);
    int code = 1;
    try {
      write_file_atomically(folder / "a", "old");
      write_file_atomically(folder / "a", std::string(200'000, 'n'));
    } catch (const Error& error) {
      const bool told =
          std::string(error.what()).find("No space left on device; free some space") !=
          std::string::npos;
      const bool clean = bytes_in(folder / "a") == "old" && folder.count_files() == 1;
      code = !told ? 2 : !clean ? 3 : 0;
    }
    _exit(code);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNotAllowed)
    GTEST_SKIP() << "mounting a small disk needs root; keeps_the_old_file_... covers the logic";
  EXPECT_EQ(WEXITSTATUS(status), 0) << "1: no error, 2: another message, 3: files not as before";
}

TEST(write_file_atomically, follows_a_symbolic_link) {
  const TempFolder folder;
  fs::create_directory(folder / "real");
  put(folder / "real/a", "old");
  fs::create_symlink("real/a", folder / "link");
  write_file_atomically(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(bytes_in(folder / "real/a"), "new");
  EXPECT_EQ(folder.count_files(), 2);
}

TEST(write_file_atomically, takes_over_the_temporary_of_a_killed_process) {
  const TempFolder folder;
  put(folder / "a.tmp", std::string(1000, 'o'));
  write_file_atomically(folder / "a", "new");
  EXPECT_EQ(bytes_in(folder / "a"), "new");
  EXPECT_EQ(folder.count_files(), 1);
}

TEST(write_file_atomically, lets_writers_of_one_path_take_turns) {
  const TempFolder folder;
  const std::string texts[] = {std::string(50'000, 'a'), std::string(70'000, 'b')};
  const auto whole = [&](const std::string& text) { return text == texts[0] || text == texts[1]; };
  write_file_atomically(folder / "a", texts[0]);
  std::atomic<int> writers = 2;
  std::vector<std::thread> threads;
  for (const std::string& text : texts) {
    threads.emplace_back([&] {
      for (int i = 0; i < 40; ++i) write_file_atomically(folder / "a", text);
      --writers;
    });
  }
  int torn = 0;
  while (writers > 0) torn += whole(bytes_in(folder / "a")) ? 0 : 1;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(torn, 0);
  EXPECT_TRUE(whole(bytes_in(folder / "a")));
  EXPECT_EQ(folder.count_files(), 1);
}

TEST(write_file_atomically, leaves_a_whole_file_when_killed) {
  const TempFolder folder;
  const std::string texts[] = {std::string(300'000, 'a'), std::string(500'000, 'b')};
  write_file_atomically(folder / "a", texts[0]);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int i = 0;; ++i) write_file_atomically(folder / "a", texts[i % 2]);
    }
    usleep(1000 + 1700 * attempt);
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    const std::string text = bytes_in(folder / "a");
    EXPECT_TRUE(text == texts[0] || text == texts[1]) << "torn in attempt " << attempt;
    EXPECT_LE(folder.count_files(), 2) << "more than one temporary";
  }
}

TEST(append_to_file, creates_and_appends) {
  const TempFolder folder;
  append_to_file(folder / "log", "one\n");
  append_to_file(folder / "log", "two\n");
  EXPECT_EQ(bytes_in(folder / "log"), "one\ntwo\n");
}

TEST(append_to_file, takes_back_a_partial_text) {
  const TempFolder folder;
  append_to_file(folder / "log", "whole line\n");
  std::string message;
  {
    const FileSizeLimit limit(20);
    message = failure_of([&] { append_to_file(folder / "log", std::string(100, 'x')); });
  }
  expect_contains(message, "cannot append to '" + (folder / "log").string() + "': File too large;");
  EXPECT_EQ(bytes_in(folder / "log"), "whole line\n");
}

TEST(append_to_file, names_a_full_disk) {
  const TempFolder folder;
  const fs::path device = full_device(folder);
  if (device.empty()) GTEST_SKIP() << "no device that is always full can be made here";
  expect_contains(failure_of([&] { append_to_file(device, "x"); }),
                  "cannot append to '" + device.string() + "': No space left on device; free some");
}

TEST(read_text_file, reads_every_length_around_its_block) {
  const TempFolder folder;
  for (const std::size_t size : {0u, 1u, 65'535u, 65'536u, 65'537u, 200'000u}) {
    std::string text(size, 'q');
    if (size > 0) text.back() = '\0';
    put(folder / "a", text);
    EXPECT_EQ(read_text_file(folder / "a"), text) << size;
  }
}

TEST(read_text_file, names_what_cannot_be_read) {
  const TempFolder folder;
  EXPECT_EQ(failure_of([&] { read_text_file(folder / "none"); }),
            "cannot read '" + (folder / "none").string() +
                "': No such file or directory; check the path.");
  expect_contains(failure_of([&] { read_text_file(folder.path()); }),
                  "Is a directory; name a file in this folder instead.");
}

TEST(make_folder, creates_parents_and_accepts_what_is_there) {
  const TempFolder folder;
  make_folder(folder / "a/b/c");
  make_folder(folder / "a/b/c");
  EXPECT_TRUE(fs::is_directory(folder / "a/b/c"));
  EXPECT_EQ(folder.count_files(), 0) << "the probe was left behind";
}

TEST(make_folder, refuses_files_in_the_way) {
  const TempFolder folder;
  put(folder / "file", "x");
  for (const char* path : {"file", "file/below", "file/below/deeper"}) {
    const std::string message = failure_of([&] { make_folder(folder / path); });
    EXPECT_EQ(message,
              "cannot create the folder '" + (folder / path).string() +
                  "': Not a directory; a part of the path is a file where a folder should be.");
  }
}

TEST(make_folder, refuses_a_folder_without_write_permission) {
  const TempFolder folder;
  const ReadOnly locked(folder.path());
  const Nobody nobody;
  expect_contains(failure_of([&] { make_folder(folder.path()); }),
                  "cannot write into the folder '" + folder.path().string() +
                      "': Permission denied; change its permissions or choose another path.");
  expect_contains(
      failure_of([&] { make_folder(folder / "new"); }),
      "cannot create the folder '" + (folder / "new").string() + "': Permission denied;");
}

}  // namespace
}  // namespace lamina
