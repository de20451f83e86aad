// Move-only owner of a C handle: `Handle<gzFile, &gzclose>`. The destructor never throws.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

namespace lamina {

template <class T, auto destroy>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T raw) : raw_(raw) {}
  Handle(Handle&& other) noexcept : raw_(std::exchange(other.raw_, T{})) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      raw_ = std::exchange(other.raw_, T{});
    }
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { reset(); }

  T get() const { return raw_; }
  explicit operator bool() const { return raw_ != T{}; }
  T release() { return std::exchange(raw_, T{}); }
  void reset() {
    if (raw_ != T{}) destroy(std::exchange(raw_, T{}));
  }

 private:
  T raw_{};
};

}  // namespace lamina
