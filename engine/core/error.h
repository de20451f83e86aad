// One error family for the whole engine.
//
// `what()` is one sentence for the person at the terminal: the thing, what is wrong with it and how
// to mend it. `details()` adds what a developer needs: expression, site, API, code and its text.
// Commands map the kind to the exit code: failure -> 1, request -> 2.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>
#include <utility>

#include <fmt/core.h>

namespace lamina {

enum class ErrorKind {
  failure,  // the work failed: a file is damaged, a disk is full, a library call failed
  request,  // the request was wrong: an unknown name, shapes that do not fit, a bad flag
};

// Where an error was found and, for library calls, what the library said.
struct ErrorSite {
  const char* expression = "";
  const char* file = "";
  int line = 0;
  const char* api = "";  // "oneDNN", "zlib", "CUDA", ...; empty for our own checks
  int code = 0;
  std::string code_text;
};

class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message, ErrorSite site = {})
      : kind_(kind), message_(std::move(message)), site_(std::move(site)) {}

  const char* what() const noexcept override { return message_.c_str(); }
  ErrorKind kind() const { return kind_; }
  const ErrorSite& site() const { return site_; }
  std::string details() const;

  // The same error with `prefix` in front of its message: names the layer or the file on the way
  // up.
  Error with_context(const std::string& prefix) const { return {kind_, prefix + message_, site_}; }

 private:
  ErrorKind kind_;
  std::string message_;
  ErrorSite site_;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::failure, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_request(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::request, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace lamina

// Checks an argument or an invariant; the message says what, where and how to mend.
#define LAMINA_CHECK(condition, ...)                                      \
  do {                                                                    \
    if (!(condition)) {                                                   \
      throw ::lamina::Error(::lamina::ErrorKind::request,                 \
                            ::fmt::format(__VA_ARGS__),                   \
                            {#condition, __FILE__, __LINE__, "", 0, {}}); \
    }                                                                     \
  } while (false)
