// A program that answers lines with lines, for bencher.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace lamina::kernel_bench {

class ChildProcess {
 public:
  // The program is found as a shell would find it. `settings` are NAME=VALUE, added to the
  // environment where the user has not set that name. Throws a failed request where it cannot
  // start.
  ChildProcess(const std::vector<std::string>& command, const std::vector<std::string>& settings);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();  // asks it to go by closing its input, then ends it

  // False where it does not read any more.
  bool write_line(const std::string& line);

  enum class Outcome { line, ended, silent, stopped, endless };
  // Waits for one line, without its end.
  Outcome read_line(std::string& line,
                    std::chrono::duration<double> patience,
                    const std::function<bool()>& stop);

  // "exit code 3", "signal 11 (Segmentation fault)": after `ended`.
  std::string how_it_ended();
  std::string last_words() const;  // the end of its stderr

 private:
  bool drain(int& file, std::string& into);
  bool wait_for_end(std::chrono::milliseconds patience);

  pid_t process_ = -1;
  int in_ = -1, out_ = -1, err_ = -1;  // our ends
  int status_ = 0;
  bool ended_ = false;
  std::string answer_, words_;
};

}  // namespace lamina::kernel_bench
