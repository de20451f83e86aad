// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "engine/core/error.h"

extern char** environ;

namespace lamina::kernel_bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kLastWords = 2000;           // bytes of stderr that are kept
constexpr std::size_t kLongestLine = 64ull << 20;  // an answer without an end is babble
constexpr std::chrono::milliseconds kGlance{50};   // how often a wait looks at `stop`

void close_end(int& file) {
  if (file >= 0) ::close(file);
  file = -1;
}

// A list as exec wants it; it points into `texts`.
std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

std::vector<std::string> environment_with(const std::vector<std::string>& settings) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
  for (const std::string& setting : settings) {
    if (std::getenv(setting.substr(0, setting.find('=')).c_str()) == nullptr)
      all.push_back(setting);
  }
  return all;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command,
                           const std::vector<std::string>& settings) {
  // A socket for its stdin: writing to a program that died is an error there, not a signal.
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
  const bool open = ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) == 0 &&
                    ::pipe2(out, O_CLOEXEC) == 0 && ::pipe2(err, O_CLOEXEC) == 0;
  int error = open ? 0 : errno;
  if (open) {
    std::vector<char*> words = pointers(command);
    const std::vector<std::string> environment = environment_with(settings);
    std::vector<char*> variables = pointers(environment);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[1], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, err[1], STDERR_FILENO);
    error = ::posix_spawnp(&process_, words[0], &files, nullptr, words.data(), variables.data());
    posix_spawn_file_actions_destroy(&files);
  }
  for (int* pair : {in, out, err}) close_end(pair[1]);  // the child's ends
  in_ = in[0];
  out_ = out[0];
  err_ = err[0];
  if (err_ >= 0) ::fcntl(err_, F_SETFL, O_NONBLOCK);  // a grandchild may keep it open for ever
  if (error == 0) return;
  for (int* file : {&in_, &out_, &err_}) close_end(*file);
  fail_request("'{}' cannot be started: {}. Name a bench file (.json) or a build's program.",
               command.front(),
               std::strerror(error));
}

ChildProcess::~ChildProcess() {
  close_end(in_);
  if (!ended_ && !wait_for_end(std::chrono::milliseconds(200))) {
    ::kill(process_, SIGTERM);
    if (!wait_for_end(std::chrono::milliseconds(500))) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, &status_, 0);
    }
  }
  close_end(out_);
  close_end(err_);
}

bool ChildProcess::write_line(const std::string& line) {
  const std::string text = line + "\n";
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t sent = ::send(in_, text.data() + done, text.size() - done, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    done += static_cast<std::size_t>(sent);
  }
  return true;
}

ChildProcess::Outcome ChildProcess::read_line(std::string& line,
                                              std::chrono::duration<double> patience,
                                              const std::function<bool()>& stop) {
  const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(patience);
  for (;;) {
    const std::size_t end = answer_.find('\n');
    if (end != std::string::npos) {
      line = answer_.substr(0, end);
      answer_.erase(0, end + 1);
      return Outcome::line;
    }
    if (answer_.size() > kLongestLine) return Outcome::endless;
    if (stop && stop()) return Outcome::stopped;
    if (out_ < 0) return Outcome::ended;
    if (Clock::now() > until) return Outcome::silent;
    pollfd files[] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};  // a negative one is passed over
    if (::poll(files, 2, static_cast<int>(kGlance.count())) <= 0) continue;
    if (files[1].revents != 0 && drain(err_, words_) && words_.size() > 2 * kLastWords)
      words_.erase(0, words_.size() - kLastWords);
    if (files[0].revents != 0) drain(out_, answer_);
  }
}

// Reads what is there; closes the file at its end.
bool ChildProcess::drain(int& file, std::string& into) {
  char block[65536];
  const ssize_t got = ::read(file, block, sizeof block);
  if (got > 0) into.append(block, static_cast<std::size_t>(got));
  if (got == 0 || (got < 0 && errno != EINTR)) close_end(file);
  return got > 0;
}

bool ChildProcess::wait_for_end(std::chrono::milliseconds patience) {
  const auto until = Clock::now() + patience;
  while (!ended_) {
    const pid_t gone = ::waitpid(process_, &status_, WNOHANG);
    if (gone == process_ || (gone < 0 && errno != EINTR)) {
      ended_ = true;
    } else if (Clock::now() > until) {
      return false;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  return true;
}

std::string ChildProcess::how_it_ended() {
  if (!wait_for_end(std::chrono::seconds(2))) return "it closed its output";
  while (err_ >= 0 && words_.size() < 64 * kLastWords && drain(err_, words_)) {
  }
  if (WIFSIGNALED(status_))
    return fmt::format("signal {} ({})", WTERMSIG(status_), strsignal(WTERMSIG(status_)));
  return fmt::format("exit code {}", WEXITSTATUS(status_));
}

std::string ChildProcess::last_words() const {
  std::string words =
      words_.size() > kLastWords ? "..." + words_.substr(words_.size() - kLastWords) : words_;
  for (char& c : words) {  // from a stranger, to a terminal
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F) c = '?';
  }
  words.resize(words.find_last_not_of(" \n\t") + 1);
  return words;
}

}  // namespace lamina::kernel_bench
